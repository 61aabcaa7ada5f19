# shellcheck shell=bash
# examples/kv with its log on a file, killed in the middle of work: what clients were told is there.

# kv_crashes POLICY LENIENCE CONNECTIONS DEPTH: CRASHES rounds, with a checker of every answer (witness.ml).
kv_crashes() {
    local round client data=$work/data history=$work/history
    needs redis-cli || return
    if ! [ -x "$bin/witness" ]; then
        echo "build/unix/witness is missing; run: make test-net"
        return 2
    fi
    rm -f "$data" "$history" && truncate -s 32M "$data"
    kv_on_disk "$1" || return
    for round in $(seq "${CRASHES:-4}"); do
        "$bin/witness" tell $stack 6379 "$history" 20 "$3" "$4" >"$work/told" 2>&1 &
        client=$!
        sleep "0.$((RANDOM % 900 + 100))"
        # Now and then while the log is being written anew.
        [ $((round % 2)) = 1 ] || redis bgrewriteaof
        sleep "0.0$((RANDOM % 90 + 10))"
        kill -9 "$running"
        ended 2>/dev/null
        # Its connections do not hear of that.
        kill "$client" && wait "$client"
        cp "$data" "$work/data.killed"
        kv_on_disk "$1" || return
        echo "round $round: $(cat "$work/told"); $(grep 'disk data' "$log")"
        if ! "$bin/witness" check $stack 6379 "$history" "$2"; then
            [ -z "${KEEP:-}" ] || cp "$work"/{history,data,data.killed,kv.log} "$KEEP/"
            return 1
        fi
    done
    stop
}
kv_on_disk() { # POLICY
    # shellcheck disable=SC2086
    start kv $addresses "--disk=data:$work/data" "--appendfsync=$1"
    reachable && within 10 redis ping
}

kv_killed_always() { kv_crashes always 0 4 8; }
kv_killed_everysec() { kv_crashes everysec 1 4 8; }

# What users of redis expect, and an end in good order, which loses nothing under any policy.
kv_persistence() {
    local data=$work/data
    needs redis-cli || return
    rm -f "$data" && truncate -s 16M "$data"
    kv_on_disk no || return
    says OK set last word && says OK save && says 'Background append only file rewriting started' bgrewriteaof || return
    [ "$(redis lastsave)" -gt 1700000000 ] || { redis lastsave && return 1; }
    redis info persistence | tr -d '\r' >"$work/info"
    grep -qx aof_enabled:1 "$work/info" && grep -qx aof_last_write_status:ok "$work/info" || { cat "$work/info" && return 1; }
    says OK set last words && stop || return
    kv_on_disk everysec && says words get last || return
    # One disk, one process.
    if timeout 60 "$bin/kv" "--disk=data:$data" >"$work/second" 2>&1 || ! grep -q 'disk data' "$work/second"; then
        cat "$work/second"
        return 1
    fi
    stop || return
    # What is something else's is left alone.
    truncate -s 0 "$data" && truncate -s 16M "$data" && printf 'a filesystem' | dd of="$data" bs=1 seek=1080 conv=notrunc 2>/dev/null
    if timeout 60 "$bin/kv" "--disk=data:$data" >"$work/other" 2>&1 || ! grep -q 'holds something else' "$work/other"; then
        cat "$work/other"
        return 1
    fi
}

alone kv_killed_always kv_killed_everysec kv_persistence
