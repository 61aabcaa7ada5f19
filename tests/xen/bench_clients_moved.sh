# The clients of bench_clients, while their guests migrate to the same host, twenty times; and a reboot.
# images: peer http kv dns
# limit: 1200

# shellcheck disable=SC2034 # bench_clients has use for them
happens=moved reboots=yes
. /share/tests/bench_clients.sh
