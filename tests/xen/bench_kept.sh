# HTTP over connections that are kept: our guests beside the same servers in a Linux guest of the same boot, asked by
# wrk in dom0, each side in turn. hyper on `mirust::net` beside hyper on tokio and beside nginx; the OCaml server `web`
# beside hyper on tokio; and one crate, axum on tokio, as a domain and as a Linux program.
# images: http web
# crates: axum
# programs: tokio-http axum-linux
# linux: yes
# limit: 560

# What is wanted: row, runs, seconds.
host_step bench_kept 110
# shellcheck disable=SC1091 # made by the step
. "$images/wanted"
brctl addbr xenbr5
ip addr add 10.5.0.1/24 dev xenbr5
ip link set xenbr5 up
vif() { echo "vif=[\"mac=00:16:3e:00:00:$1,script=vif-rig,bridge=xenbr5\"]"; }

# The rows: ours, and what stands beside it.
pairs='http:tokio-http http:nginx web:tokio-http axum:axum-linux'
[ -z "$row" ] || pairs=$(echo "$pairs" | tr ' ' '\n' | grep "^$row:") || fail "no row is called $row"

# Where a server is, and whose guest it is in.
address() {
    case $1 in
        http) echo 10.5.0.2:80 ;;
        web) echo 10.5.0.3:80 ;;
        axum) echo 10.5.0.4:80 ;;
        tokio-http) echo 10.5.0.5:81 ;;
        nginx) echo 10.5.0.5:82 ;;
        axum-linux) echo 10.5.0.5:83 ;;
    esac
}
guest() { case $1 in http | web | axum) echo "$1" ;; *) echo linux ;; esac; }
answers() { /bin/curl --silent --fail --max-time 2 --output /dev/null "http://$(address "$1")/"; }

create linux linux memory=384 'ramdisk="/share/images/peers.cpio"' "$(vif 55)" \
    'cmdline="console=hvc0 quiet mitigations=off random.trust_cpu=on rootfstype=ramfs rdinit=/linux-peers rig.address=10.5.0.5/24"'
wait_console linux '^linux: ' 350
servers=$(echo "$pairs" | tr ' :' '\n\n' | sort -u)
for server in $servers; do
    last=$(address "$server" | sed 's/:.*//; s/.*\.//')
    case $server in
        http | web) create "$server" "$server" memory=32 "$(vif "5$last")" "cmdline=\"--ipv4=10.5.0.$last/24 -l error\"" ;;
        axum) create axum axum memory=64 "$(vif "5$last")" "cmdline=\"RUST_LOG=warn MIRUST_ARGS=--ipv4=10.5.0.$last/24\"" ;;
    esac
    if [ "$server" = nginx ] && ! within 20 answers nginx; then
        note "nginx does not answer, or is not installed: nothing beside our server in its row"
        pairs=$(echo "$pairs" | tr ' ' '\n' | grep -v ':nginx')
        servers=$(echo "$servers" | grep -vx nginx)
        continue
    fi
    within 60 answers "$server" || fail "$server does not answer at $(address "$server")"
done
sleep 2

# What dom0's netback was notified of by a guest, and the seconds that the guest has had a processor.
notified() { awk -v vif="vif$(domid "$1")[.]" '$0 ~ vif { sum += $2 } END { print sum + 0 }' /proc/interrupts; }
ran() { xl list "$1" | awk 'NR == 2 { print $6 }'; }

# Adds a line to /tmp/SERVER-CONNECTIONS: requests a second, notifications and guest's milliseconds per request, and the
# 99th percentile of the latency as wrk words it.
measure() { # SERVER CONNECTIONS
    at=$(guest "$1")
    before=$(notified "$at") began=$(ran "$at")
    /bin/wrk -t 1 -c "$2" -d "$seconds" --latency "http://$(address "$1")/" >/tmp/wrk 2>&1 || fail "wrk at $1: $(cat /tmp/wrk)"
    ! grep -E 'Socket errors|Non-2xx' /tmp/wrk || echo "    at $1, $2 connections"
    awk -v sent="$(($(notified "$at") - before))" -v ran="$(ran "$at")" -v began="$began" '
        $1 == "99%" { p99 = $2 } /requests in/ { n = $1 } /^Requests\/sec/ { rate = $2 }
        END { if (n > 0) printf "%s %.2f %.2f %s\n", rate, sent / n, (ran - began) * 1000 / n, p99 }' /tmp/wrk >/tmp/line
    [ -s /tmp/line ] || fail "wrk at $1: $(cat /tmp/wrk)"
    echo "$1, $2 connections: $(cat /tmp/line)"
    cat /tmp/line >>"/tmp/$1-$2"
}
# Megabytes a second of one large answer.
download() { # SERVER
    speed=$(/bin/curl --silent --fail --max-time 60 --output /dev/null --write-out '%{speed_download}' \
        "http://$(address "$1")/download?bytes=8000000") || fail "the download from $1 did not end"
    echo "$speed" | awk '{ printf "%.2f\n", $1 / 1e6 }' >>"/tmp/$1-download"
}
for _ in $(seq "$runs"); do
    for connections in 1 16 64; do
        for server in $servers; do measure "$server" $connections; done
    done
    case $servers in *axum*) download axum-linux && download axum ;; esac
done

# The median of a column.
column() { awk -v c="$2" '{ print $c }' "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# The median, least and greatest ratio of two columns of lines.
ratios() { # FILE FILE
    paste -d ' ' "$1" "$2" | awk '{ print $1 / $(NF / 2 + 1) }' | sort -n |
        awk '{ v[NR] = $1 } END { printf "%.2f (%.2f-%.2f)", v[int((NR + 1) / 2)], v[1], v[NR] }'
}
each() { echo "$(column "$1" 2) notifications, $(column "$1" 3) ms of its guest"; }
note "medians of $runs runs of $seconds s, by wrk in dom0; spread: the least and the greatest ratio of neighbouring runs;" \
    "dom0's load $(cut -d' ' -f1 /proc/loadavg)"
for pair in $pairs; do
    ours=${pair%:*} peer=${pair#*:}
    for connections in 1 16 64; do
        a=/tmp/$ours-$connections b=/tmp/$peer-$connections
        note "$ours beside $peer on Linux, $connections connections: $(column $a 1) and $(column $b 1) requests/s," \
            "ratio $(ratios $a $b);" \
            "a request of ours: $(each $a); of Linux: $(each $b); 99 %: $(column $a 4) and $(column $b 4)"
    done
    if [ "$ours" = axum ]; then
        note "axum beside axum-linux on Linux, a download by curl: $(column /tmp/axum-download 1) and" \
            "$(column /tmp/axum-linux-download 1) MB/s, ratio $(ratios /tmp/axum-download /tmp/axum-linux-download)"
    fi
done
