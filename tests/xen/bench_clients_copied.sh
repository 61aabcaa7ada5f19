# The clients of bench_clients, while copies of their guests are saved (`xl save -c`), and while they are paused for
# 20 s, each of the four twice.
# images: peer http kv dns
# limit: 900

# shellcheck disable=SC2034 # bench_clients has use for them
happens='copied paused' times=8
. /share/tests/bench_clients.sh
