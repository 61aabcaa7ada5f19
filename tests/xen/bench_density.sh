# How many domains are asleep at once in the rig's memory, and what ends that: `hello`'s size without a network (probe,
# waiting), and http. All of the latter have to answer afterwards.
# images: probe http
# limit: 560

brctl addbr xenbr6
ip addr add 10.1.6.1/23 dev xenbr6
ip link set xenbr6 up
free_memory() { xl info | sed -n 's/^free_memory *: *//p'; }
dom0_free() { free -k | awk '/^Mem:/ { print $4 }'; }

# Creates domains until one is refused, and says why and what each has cost.
fill() { # MOST KIND MEMORY [KEY=VALUE...]
    most=$1 kind=$2 memory=$3 count=0
    shift 3
    xen_before=$(free_memory) dom0_before=$(dom0_free)
    while [ $count -lt "$most" ]; do
        [ $kind != http ] ||
            set -- 'vif=["script=vif-rig,bridge=xenbr6"]' "cmdline=\"--ipv4=10.1.6.$((count + 2))/23 -l error\""
        xl create -e /dev/null "name=\"$kind$count\"" 'type="pvh"' "kernel=\"$images/$kind.elf\"" vcpus=1 \
            "memory=$memory" "$@" >/tmp/created 2>&1 || break
        count=$((count + 1))
    done
    why='that was all that were asked for'
    if [ $count -lt "$most" ]; then
        why=$(grep -o 'E[a-z]*: .*\|libxl.*\|xc: .*' /tmp/created | head -n 2 | tr '\n' ' ')
        xl destroy "$kind$count" 2>/dev/null || true
    fi
    xen=$((xen_before - $(free_memory))) dom0=$((dom0_before - $(dom0_free)))
    note "$kind with $memory MiB: $count at once, of Xen's memory $(awk "BEGIN { printf \"%.1f\", $xen / $count }") MiB each" \
        "and of dom0's $((dom0 / count)) KiB; $(free_memory) MiB are left; the next one: $why"
    [ $count -ge 20 ] || fail "only $count domains: $why"
}
empty() { # KIND
    while [ $count -gt 0 ]; do
        count=$((count - 1))
        destroy "$1$count"
    done
    wait_gone "${1}0" 60
}

fill 60 probe 8 'cmdline="--case=idle"'
within 30 sh -c "! xl list | awk '\$1 ~ /^probe/ && \$5 !~ /b/' | grep -q ." || fail "not all are asleep: $(xl list)"
empty probe
fill 40 http 20
i=0
answers() { /bin/curl --silent --fail --max-time 5 --output /dev/null "http://10.1.6.$((i + 2))/"; }
while [ $i -lt $count ]; do
    within 60 answers || fail "http$i does not answer"
    i=$((i + 1))
done
note "all $count answer"
empty http
ip link set xenbr6 down
brctl delbr xenbr6
