# shellcheck shell=bash
# examples/proxy. Its target is port 7777 here, where each case has its own server.

proxy=http://$stack
target_port=7777
arguments_of[proxy]="--target=10.0.0.1:$target_port --idle=2 --limit=250"

# with_target SERVER...: runs `through`, the case's client, while the server is there.
with_target() {
    "$@" >"$work/target.log" 2>&1 &
    local server=$! status
    within 5 listens $target_port || { echo 'the target does not start' && return 1; }
    through
    status=$?
    kill $server 2>/dev/null
    wait $server 2>/dev/null
    [ $status -eq 0 ] || cat "$work/target.log"
    return $status
}
# What curl says that is wrong.
complaint() { curl -sS -o /dev/null "$@" 2>&1 || true; }
echo_server() { exec "$bin/client" serve 10.0.0.1 $target_port; }

# The client ends its direction when all is sent, and checks what comes back until the end.
proxy_echo() {
    through() { client echo $stack 80 $megabytes 1; }
    with_target echo_server
}
proxy_echo_v6() {
    through() { client echo $stack6 80 1000000 1; }
    with_target echo_server
}
proxy_connections_200() {
    through() { client echo $stack 80 20000 200; }
    with_target echo_server
}
proxy_iperf() {
    through() {
        iperf3 -c $stack -p 80 -t 1 || return
        # iperf3's server closes its port between two tests.
        within 5 iperf3 -c $stack -p 80 -t 1 -R -P 2 || return
        echo "NOTE: $(awk '/receiver/ { print $7, $8; exit }' "$work/target.log")"
    }
    with_target iperf3 -s -B 10.0.0.1 -p $target_port
}
proxy_http() {
    mkdir -p "$work/www"
    head -c 3000000 /dev/urandom >"$work/www/file"
    through() {
        curl -sS -o "$work/fetched" "$proxy/file" && cmp "$work/fetched" "$work/www/file" || return
        [ "$(curl -sS -o /dev/null -w '%{http_code}' "$proxy/nothing")" = 404 ]
    }
    with_target busybox httpd -f -p 10.0.0.1:$target_port -h "$work/www"
}
proxy_target_refuses() {
    # A reset, not an empty answer.
    complaint "$proxy/" | grep -iE 'reset|could not connect' || return
    grep "WARN .*10.0.0.1:[0-9]*: 10.0.0.1:$target_port: connection refused" "$log"
}
# What the target resets in the middle is reset here.
proxy_target_resets() {
    through() { complaint "$proxy/" | grep -i 'reset'; }
    with_target "$bin/client" reset 10.0.0.1 $target_port
}
# A client that reads nothing: the target can send what the buffers on the way hold, and no more.
proxy_slow_reader() {
    through() {
        local sent
        exec 3<>"/dev/tcp/$stack/80"
        sleep 1
        # The windows and the kernel's own buffer; without a bound it would be a hundred times as much.
        sent=$(tail -n 1 "$work/target.log")
        [ "${sent% bytes}" -lt 16000000 ] || { echo "$sent were sent" && return 1; }
        # It is given up for its silence, and others are served.
        within 4 grep 'timed out' "$log" || return
        exec 3>&-
        exec 3<>"/dev/tcp/$stack/80"
        head -c 1000000 <&3 | wc -c | grep 1000000 && exec 3>&-
    }
    with_target "$bin/client" pour 10.0.0.1 $target_port
}
proxy_idle() {
    through() {
        exec 3<>"/dev/tcp/$stack/80"
        echo one >&3
        read -r -t 20 line <&3 && [ "$line" = one ] || return
        # Within the time it may be used again; after it the connection is reset.
        sleep 1
        echo two >&3
        read -r -t 20 line <&3 && [ "$line" = two ] || return
        ! read -r -t 20 line <&3 || return
        exec 3>&-
        within 1 grep 'timed out' "$log"
    }
    with_target echo_server
}
proxy_limit() {
    # More at once than it lets in: for those beyond the bound others make room, and it goes on.
    through() {
        client hold $stack 80 300 </dev/null | grep '250 of 300 connections are open' || return
        within 5 client echo $stack 80 1000 200
    }
    with_target echo_server
}
# Far more stalled connections than there are places, with the default patience: clients that move bytes are served
# (crowds.sh).
proxy_crowd_that_says_nothing() {
    through() {
        local status=0
        start_small 24 proxy $addresses "--target=10.0.0.1:$target_port"
        served_beside 80 '' question || status=1
        stop || status=1
        return $status
    }
    with_target echo_server
}

# When it is asked to end, what goes on may end first. No byte was copied on its way.
proxy_ends_in_good_order() {
    through() {
        start proxy $addresses "--target=10.0.0.1:$target_port"
        within 10 grep 'proxy on port 80' "$log" || return
        client echo $stack 80 $megabytes 1 || return
        exec 3<>"/dev/tcp/$stack/80"
        echo one >&3
        read -r -t 20 line <&3 || return
        kill "$running"
        within 2 eval "! (: <>/dev/tcp/$stack/80)" || return
        echo two >&3
        read -r -t 20 line <&3 && [ "$line" = two ] || return
        exec 3>&-
        ended && grep ' 0 connections cut, 0 bytes were copied' "$log"
    }
    with_target echo_server
}

# The command line is at fault, and not the program: no crash with a backtrace.
proxy_impossible_targets() {
    local target port
    for target in 10.0.0.1 :80 '[]:80' '[fd00::1:80' 'fd00::1]:80' fd00::1:80 '[host]:80' 'two words:80' a..b:80 $'\xff:80' \
        "$(printf 'a%.0s' {1..64}):80" 0.0.0.0:80 255.255.255.255:80 224.0.0.1:80 '[::]:80' '[ff02::1]:80'; do
        refused 64 'HOST:PORT' proxy "--ipv4=$stack/24" "--target=$target" || return
    done
    for port in '' 0 -1 +80 65536 0x50 8_0; do
        refused 64 'HOST:PORT' proxy "--ipv4=$stack/24" "--target=10.0.0.1:$port" || return
    done
}
# Each connection would be passed on by another one. What a name stands for is not known before.
proxy_is_its_own_target() {
    local target
    for target in $stack "[$stack6]" 127.0.0.1 '[::1]'; do
        refused 64 'the target is the proxy itself' proxy $addresses "--target=$target:80" || return
    done
    refused 64 'the target is the proxy itself' proxy $addresses --port=81 "--target=$stack:81" || return
    # Another port is another service.
    start proxy $addresses "--target=$stack:81" && within 10 grep 'proxy on port 80' "$log" || return
    complaint "$proxy/" | grep -iE 'reset|could not connect' && stop
}
proxy_name_that_leads_back() {
    local server status=0
    needs dnsmasq || return
    dnsmasq --keep-in-foreground --interface=tap0 --bind-interfaces --dhcp-authoritative --no-ping --no-resolv --no-hosts \
        --dhcp-range=10.0.0.50,10.0.0.50,2m --dhcp-leasefile="$work/leases" --host-record=leads.back,10.0.0.50 \
        --user=root --group=root --pid-file="$work/dnsmasq.pid" --conf-file=/dev/null >"$work/dnsmasq.log" 2>&1 &
    server=$!
    start proxy --dhcp --ipv4-only --target=leads.back:80
    within 10 grep 'proxy on port 80' "$log" || status=1
    complaint http://10.0.0.50/ | grep -iE 'reset|could not connect' || status=1
    within 2 grep 'WARN .*10.0.0.50:[0-9]*: the target is the proxy itself' "$log" || status=1
    # Nobody passed it on any further.
    [ "$(grep -c WARN "$log")" -le 2 ] || status=1
    stop || status=1
    kill $server
    cat "$work/dnsmasq.log"
    return $status
}

group proxy proxy_echo proxy_echo_v6 proxy_connections_200 proxy_iperf proxy_http proxy_target_refuses \
    proxy_target_resets proxy_slow_reader proxy_idle proxy_limit
alone proxy_impossible_targets proxy_is_its_own_target proxy_name_that_leads_back proxy_crowd_that_says_nothing proxy_ends_in_good_order
