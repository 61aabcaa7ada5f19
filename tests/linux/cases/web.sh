# shellcheck shell=bash
# The stack as server: a web server in OCaml.

web() {
    curl -sS "http://$stack/" | grep 'It works' || return 1
    curl -sS -g "http://[$stack6]/" | grep 'It works' || return 1
    [ "$(curl -sS -o /dev/null -w '%{http_code}' "http://$stack/nothing")" = 404 ] || return 1
    [ "$(curl -sS -X POST -o /dev/null -w '%{http_code}' "http://$stack/")" = 405 ] || return 1
    curl -sS -I "http://$stack/" | grep 'Content-Length' || return 1
    # The second page comes over the first one's connection.
    curl -sS -v "http://$stack/" "http://$stack/style.css" 2>&1 | grep -i 're-us'
}
# A client that sends far more than a request, and reads only then, is still told that it is wrong.
web_refuses() {
    exec 3<>"/dev/tcp/$stack/80" || return
    head -c 10000000 /dev/zero | tr '\0' x >&3 || return
    sleep 0.2
    timeout 60 cat <&3 | tee /dev/stderr | grep '^HTTP/1.1 400' || return
    exec 3>&-
}
web_many() { wrk -t 1 -c 100 -d 1 "http://$stack/" | tee /dev/stderr | grep 'requests in'; }

group web web web_refuses web_many

# The command line is at fault, and not the program: no crash with a backtrace.
web_impossible_ports() {
    local port ended
    for port in 0 -1 65536 http; do
        "$bin/web" --interface="$tap@$mac" --ipv4="$stack/24" --port=$port >"$work/ports" 2>&1
        ended=$?
        [ $ended = 64 ] && grep -i port "$work/ports" || { echo "$port: $ended" && return 1; }
    done
}
alone web_impossible_ports
