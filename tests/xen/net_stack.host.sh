#!/bin/sh
# The guest's page through the port of the host that QEMU forwards.
curl -sS -m 80 "http://127.0.0.1:$1/" | grep 'It works'
