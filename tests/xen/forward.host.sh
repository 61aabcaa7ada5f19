#!/usr/bin/env bash
# On the host: a page of the guest at 127.0.0.1:$1.
set -euo pipefail
curl --silent --show-error --max-time 80 "http://127.0.0.1:$1/" | grep 'It works'
