# shellcheck shell=bash
# The stack as client.

client_of() { # ADDRESS BYTES CONNECTIONS
    # Not by the function: a signal would end the shell that it runs in, and leave the port to the server.
    "$bin/client" serve "$1" 7777 &
    local server=$! status
    within 5 client echo "$1" 7777 1 1
    start peer $addresses --connect="$1" --port=7777 --bytes="$2" --connections="$3"
    ended && grep intact "$log"
    status=$?
    kill $server
    wait $server 2>/dev/null
    return $status
}
client_16_MiB() { client_of 10.0.0.1 $megabytes 1; }
client_16_MiB_v6() { client_of fd00::1 $megabytes 1; }
client_100_connections() { client_of 10.0.0.1 20000 100; }
client_refused() {
    start peer $addresses --connect=10.0.0.1 --port=7778
    ! ended && grep refused "$log"
}

alone client_16_MiB client_16_MiB_v6 client_100_connections client_refused
