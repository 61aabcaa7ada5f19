#!/bin/sh
# The job of `xen-test`: runs the tests listed in /share/tests/list, one after another, and says in
# /share/report how each ended. A test is a POSIX shell script run with `guest.sh` loaded; its
# head may say `# limit: SECONDS`. Its output and its guests' consoles end up in /share/logs/NAME.
# shellcheck source=tests/rig/dom0/guest.sh
. /share/rig/dom0/guest.sh

run_test() { # NAME
    test=/share/tests/$1.sh
    log=/share/logs/$1
    limit=$(sed -n 's/^# limit: *//p' "$test")
    limit=$((${limit:-60} * patience))
    mkdir -p "$log"
    start=$(now)
    status=0
    # shellcheck disable=SC2016 # the inner shell expands it
    timeout -k 2 "$limit" sh -eu -c '. /share/rig/dom0/guest.sh; . "$1"' "$1" "$test" >"$log/output" 2>&1 </dev/null || status=$?
    seconds=$(awk "BEGIN { printf \"%.1f\", ($(now) - $start) / 100 }")
    case $status in
        0) echo "ok $1 ($seconds s)" ;;
        124 | 137 | 143) report_failure "$1" "took longer than $limit s" ;;
        *) report_failure "$1" "$(sed -n 's/^FAIL: //p' "$log/output" | tail -n 1)" ;;
    esac
    sed -n 's/^NOTE: /    /p' "$log/output"
    clean_up
    # Not all tests have guests.
    mv "$consoles"/guest-*.log "$log/" 2>/dev/null || :
}

report_failure() { # NAME REASON
    echo "not ok $1: ${2:-exit status $status}"
    tail -n 20 "$log/output" | sed 's/^/    /'
    for file in "$consoles"/guest-*.log; do
        [ -e "$file" ] || continue
        echo "    -- console of ${file##*/guest-}"
        tail -n 40 "$file" | sed 's/^/    /'
    done
}

# No test sees the guests of another, or has less of dom0's memory for its files: there is no other place for them. The
# daemons of `create_supervised` go first, or they might restart what is destroyed.
clean_up() {
    killall -q xl
    for guest in $(xl list | awk 'NR > 1 && $2 > 0 { print $2 }'); do
        xl destroy "$guest" >/dev/null 2>&1
    done
    for left in $(losetup | sed -n 's,^\([^:]*\): .* /tmp/.*,\1,p'); do losetup -d "$left"; done
    rm -rf /tmp/* 2>/dev/null
}

while read -r name; do run_test "$name" >>/share/report; done </share/tests/list
