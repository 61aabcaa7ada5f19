# How many domains are asleep at once in the rig's memory, what each of them costs, and what ends it: a program of
# hello's size without a network (probe, waiting), and http, all of which have to answer afterwards.
# images: probe http
# limit: 900

net=10.1.10
brctl addbr xenbr10
ip addr add $net.1/24 dev xenbr10
ip link set xenbr10 up
free_memory() { xl info | sed -n 's/^free_memory *: *//p'; }
dom0_free() { free -k | awk '/^Mem:/ { print $4 }'; }

# Creates domains until one is refused, and says why, and what each has cost.
fill() { # MOST NAME IMAGE MEMORY
    most=$1 kind=$2 image=$3 memory=$4 count=0
    set --
    xen_before=$(free_memory) dom0_before=$(dom0_free)
    while [ $count -lt "$most" ]; do
        case $kind in
            http) set -- 'vif=["script=vif-rig,bridge=xenbr10"]' "cmdline=\"--ipv4=$net.$((count + 2))/24 -l error\"" ;;
            *) set -- 'cmdline="--case=asleep"' ;;
        esac
        xl create -e /dev/null "name=\"$kind$count\"" 'type="pvh"' "kernel=\"$images/$image.elf\"" vcpus=1 \
            "memory=$memory" "$@" >/tmp/created 2>&1 || break
        count=$((count + 1))
    done
    why="no more than $most were asked for"
    if [ $count -lt "$most" ]; then
        why=$(sed -n 's/^libxl: error: [^ ]* *//p; s/^xc: error: *//p' /tmp/created | head -n 1)
        xl destroy "$kind$count" 2>/dev/null || true
    fi
    [ $count -ge 20 ] || fail "only $count domains: $(cat /tmp/created)"
    xen=$(awk "BEGIN { printf \"%.1f\", ($xen_before - $(free_memory)) / $count }")
    note "$kind with $memory MiB: $count at once; each takes $xen MiB of Xen's memory and" \
        "$(((dom0_before - $(dom0_free)) / count)) KiB of dom0's; $(free_memory) MiB are left; what ends it: $why"
}
asleep() { ! xl list | awk -v kind="$kind" 'index($1, kind) == 1 && $5 !~ /b/' | grep -q .; }
empty() {
    while [ $count -gt 0 ]; do
        count=$((count - 1))
        destroy "$kind$count"
    done
    wait_gone "${kind}0" 60
}

fill 100 hello probe 8
within 60 asleep || fail "not all are asleep: $(xl list)"
empty
fill 60 http http 20
within 60 asleep || fail "not all are asleep: $(xl list)"
guest=0
answers() { /bin/curl --silent --fail --max-time 5 --output /dev/null "http://$net.$((guest + 2))/"; }
while [ $guest -lt $count ]; do
    within 60 answers || fail "http$guest does not answer"
    guest=$((guest + 1))
done
note "all $count of http answer"
empty
ip link set xenbr10 down
brctl delbr xenbr10
