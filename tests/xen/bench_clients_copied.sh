# The clients of bench_clients, while copies of their guests are saved (`xl save -c`), and while they are paused for 20 s.
# images: peer http kv dns
# limit: 900

# shellcheck disable=SC2034 # bench_clients has use for it
happens='copied paused'
. /share/tests/bench_clients.sh
