#!/usr/bin/env bash
# On the host: the guest at 127.0.0.1:$1 by the name in its certificate, by both versions of TLS.
set -euo pipefail
certificate=$IMAGES/https.pem
at=https://service.test:$1
get() { curl --silent --show-error --fail --max-time 160 --resolve "service.test:$1:127.0.0.1" "${@:2}"; }
for version in 1.2 1.3; do
    get "$1" --cacert "$certificate" "--tlsv$version" --tls-max $version "$at/$version" | grep -x "GET /$version over TLS"
done
# Who does not know the certificate, or looks for another name, is not served: curl's statuses 60 and 60.
for client in "$at/" "--cacert $certificate --resolve other.test:$1:127.0.0.1 https://other.test:$1/"; do
    status=0
    # shellcheck disable=SC2086 # options
    get "$1" $client || status=$?
    [ $status = 60 ]
done
clients=()
for i in $(seq 16); do
    (for j in $(seq 10); do echo "url = $at/$i-$j"; done | get "$1" --cacert "$certificate" --config - |
        grep -c 'over TLS' | grep -qx 10) &
    clients+=($!)
done
for client in "${clients[@]}"; do wait "$client"; done
echo "16 clients were served"
