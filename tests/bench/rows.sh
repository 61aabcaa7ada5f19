# shellcheck shell=bash
# The rows of the benchmarks: how the programs that measure themselves are read, and how the table is made.
#
# A figure is a line `NAME <tab> UNIT <tab> VALUE`; one of the peer's, that the same program has measured, ends with
# `<tab> WHO`. In the list of all of them a line begins with the side and ends with the load:
# `SIDE <tab> NAME <tab> UNIT <tab> VALUE <tab> WHO <tab> LOAD`.
# shellcheck disable=SC2154 # the sourcing scripts set row, seconds, compare, figures

# Whether rows of this name are wanted: what was asked for begins like it, or it like that.
wanted() { # NAME
    [[ $1 == "$row"* || $row == "$1"* ]]
}

# Which side goes first, in turn.
order() { # RUN SIDES
    if [ "$2" -eq 1 ]; then echo 0; elif [ $(($1 % 2)) -eq 1 ]; then echo 0 1; else echo 1 0; fi
}

# Figures into the list.
take_down() { # SIDE
    local load
    load=$(cut -d ' ' -f 1 /proc/loadavg)
    awk -F '\t' -v OFS='\t' -v side="$1" -v load="$load" '{ print $4 == "" ? side : 1, $1, $2, $3, $4, load }' >>"$figures"
}

# Whether a tree has what a group measures; says so if not.
exists() { # TREE GROUP
    local at
    case $2 in
        boundary) at=tests/ocaml/bench.ml ;;
        tcp) at=tests/tcp/bench.ml ;;
        fiber) at=rust-rt/fiber/benches ;;
        tap) at=examples/iperf ;;
        sockets) at=tests/sockets ;;
        kv-*) at=examples/kv/src/log.rs ;;
        disk) at=tests/xen/images/disk ;;
        *) at=examples/$2 ;;
    esac
    [ -e "$1/$at" ] || { echo "there is no $2 in $1" >&2 && return 1; }
}

# Runs a program that measures itself, which ends within a minute even on a busy machine.
ends() { # COMMAND
    local status=0
    timeout 600 "$@" || status=$?
    [ $status -ne 124 ] || echo "it does not end: $*" >&2
    return $status
}

# One side's name is a line's first columns; spaces at its end are none of it.
boundary_figures() { # TREE
    ends tests/rig/env "$1/_build/default/tests/ocaml/bench.exe" | awk -v OFS='\t' -v peers="${compare:+no}" '
        NR == 1 { next } # the heading
        {
            name = substr($0, 1, 44)
            ns = substr($0, 45, 10) + 0
            sub(/ +$/, "", name)
        }
        name == "OCaml -> OCaml" { call = ns; next }
        # The row before, without Rust: its peer.
        name ~ /^\.\.\. the same without Rust/ {
            if (!peers) print last, "ns", ns, "Lwt alone"
            next
        }
        {
            printed = name
            if (name ~ /^\.\.\. /) printed = first ", " substr(name, 5)
            else first = name
            last = "boundary: " printed
            print last, "ns", ns
            # What a call costs is compared with a call; what a loop has to turn for, with Lwt.
            if (!peers && ns < 100) print last, "ns", call, "an OCaml call"
        }'
}

tcp_figures() { # TREE
    local only=()
    case $row in tcp:?*) only=("${row#tcp: }") && only[0]=${only[0]%, words} ;; esac
    tests/rig/env "$1/_build/default/tests/tcp/bench.exe" "$seconds" "${only[@]}" | awk -v OFS='\t' '
        # What a lossy link made of a row above is no figure, and only segments have words.
        / recoveries, / { next }
        NF > 2 {
            name = substr($0, 1, 34)
            sub(/ +$/, "", name)
            if (!sub(/^  /, above ", ", name)) above = name
            split(substr($0, 35), words, " ")
            print "tcp: " name, words[2], words[1]
            if (/words\/segment/) print "tcp: " name ", words", "words/segment", words[5]
        }'
}

fiber_figures() { # TREE
    tests/rig/env cargo bench --locked --quiet --manifest-path "$1/Cargo.toml" -p mirust-fiber --bench switch |
        awk -v OFS='\t' '$NF == "ns" { name = substr($0, 1, 28); sub(/ +$/, "", name); print "fiber: " name, "ns", $(NF - 1) }'
}

# A row of our disk on a file.
disk_here() { # TREE FILE NAME
    "$1/build/unix/disk" bench "$seconds" "$3" "--disk=data:$2" | awk -F ': ' -v OFS='\t' '
        sub(/^bench /, "") { split($2, rate, "[ ;]"); print "disk: " $1, rate[2], rate[1] }'
}

# The same row of fio's io_uring.
disk_fio() { # FILE NAME RW BLOCKS DEPTH
    # In version 3 of its terse lines bandwidth (KiB/s) and requests per second of reads are fields 7 and 8, of writes
    # 48 and 49.
    tests/rig/env fio --name=disk --filename="$1" --ioengine=io_uring --direct=1 --rw="$3" --bs="$4" --iodepth="$5" \
        --runtime="$seconds" --time_based --output-format=terse --terse-version=3 |
        awk -F ';' -v OFS='\t' -v name="disk: $2" -v rw="$3" '
            $1 == 3 {
                field = rw ~ /read/ ? 7 : 48
                if (rw ~ /^rand/) print name, "requests/s", $(field + 1), "fio"
                else print name, "MiB/s", $field / 1024, "fio"
            }'
}

# Row by row, ours and then fio's on the same file. Where fio is not installed, its side is said to be missing.
disk_figures() { # TREE
    local file=$project/build/bench-disk.img fio=true rw blocks depth name
    if [ ! -e "$file" ]; then
        head -c 256M /dev/urandom >"$file"
        sync "$file"
    fi
    if [ -n "$compare" ]; then
        fio=false
    elif ! tests/rig/env sh -c 'command -v fio' >/dev/null; then
        fio=false
        echo "disk: fio is not installed, so there is nothing beside these rows" >&2
    fi
    while IFS=: read -r rw blocks depth name; do
        wanted "disk: $name" || continue
        disk_here "$1" "$file" "$name"
        ! $fio || disk_fio "$file" "$name" "$rw" "$blocks" "$depth"
    done <<'END'
read:1M:4:sequential read of 1 MiB, depth 4
write:1M:4:sequential write of 1 MiB, depth 4
randread:4k:1:random read of 4 KiB, depth 1
randwrite:4k:1:random write of 4 KiB, depth 1
randread:4k:32:random read of 4 KiB, depth 32
randwrite:4k:32:random write of 4 KiB, depth 32
END
}

# The table, of the list.
table() { # THE OTHER SIDE
    awk -F '\t' -v wanted="$row" -v other="$1" '
        function median(list, n,    i, j, v, sorted) {
            for (i = 1; i <= n; i++) {
                v = list[i]
                for (j = i - 1; j > 0 && sorted[j] > v; j--) sorted[j + 1] = sorted[j]
                sorted[j + 1] = v
            }
            least = sorted[1]
            greatest = sorted[n]
            return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
        }
        function short(x) { return sprintf(x < 100 ? "%.2f" : x < 1000 ? "%.1f" : "%.0f", x) }
        index($2, wanted) == 1 {
            if (!($2 in unit)) { names[++rows] = $2; unit[$2] = $3 }
            value[$1, $2, ++count[$1, $2]] = $4
            load[$2, ++loads[$2]] = $6
            if ($1 == 1 && $5 != "") who[$2] = $5
        }
        END {
            line = "| %-50s | %-13s | %10s | %10s | %-22s | %5s | %-11s | %4s |\n"
            printf line, "row", "unit", "this", "other", "which is", "ratio", "spread", "load"
            print "|---|---|--:|--:|---|--:|---|--:|"
            for (r = 1; r <= rows; r++) {
                name = names[r]
                # Less is better of what it takes.
                less = unit[name] ~ /^(ns|us|us\/.*|words\/.*)$/
                for (side = 0; side < 2; side++) {
                    n = count[side, name] + 0
                    delete list
                    for (i = 1; i <= n; i++) list[i] = value[side, name, i]
                    middle[side] = n ? short(median(list, n)) : "none"
                }
                n = count[0, name] < count[1, name] ? count[0, name] : count[1, name]
                delete list
                pairs = 0
                for (i = 1; i <= n; i++) {
                    over = less ? value[1, name, i] : value[0, name, i]
                    under = less ? value[0, name, i] : value[1, name, i]
                    if (under > 0) list[++pairs] = over / under
                }
                ratio = pairs ? sprintf("%.2f", median(list, pairs)) : "-"
                spread = pairs ? sprintf("%.2f-%.2f", least, greatest) : "-"
                delete list
                for (i = 1; i <= loads[name]; i++) list[i] = load[name, i]
                printf line, name, unit[name], middle[0], middle[1],
                    name in who ? who[name] : count[1, name] ? other : "-", ratio, spread,
                    sprintf("%.1f", median(list, loads[name]))
            }
        }'
}
