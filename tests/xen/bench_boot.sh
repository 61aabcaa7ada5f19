# From `xl create` to the first answer of a service, by its parts: what xl and Xen take before the guest runs, and when
# the guest has come to its network, has a link, listens, and is heard.
# images: http
# limit: 300

runs=5 ip=10.1.9.2
brctl addbr xenbr9
ip addr add 10.1.9.1/24 dev xenbr9
ip link set xenbr9 up
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# When the guest says something, in its own milliseconds; it begins to count when it knows Xen's clock.
said() { console web | sed -n "s/^\[ *\([0-9]*\)\.\([0-9]\{3\}\).*$1.*/\1\2/p" | head -n 1 | sed 's/^0*\(.\)/\1/'; }
answers() { /bin/curl --silent --fail --max-time 1 --output /dev/null "http://$ip/"; }

# Boots it once, and notes each part in a file.
boot() { # IMAGE
    start=$(now)
    create_under -pe web "$1" vcpus=1 'vif=["mac=00:16:3e:00:09:02,script=vif-rig,bridge=xenbr9"]' "cmdline=\"--ipv4=$ip/24\""
    created=$(now)
    xl unpause web
    limit=$(($(now) + 6000))
    until answers; do
        [ "$(now)" -lt "$limit" ] || fail "no answer: $(console web)"
        sleep 0.02
    done
    answered=$(now)
    wait_console web 'http on port' 10
    echo $(((created - start) * 10)) >>"/tmp/$1-create"
    echo $(((answered - created) * 10)) >>"/tmp/$1-answer"
    said 'mirust.network' >>"/tmp/$1-network"
    said 'link up' >>"/tmp/$1-link"
    said 'http on port' >>"/tmp/$1-listens"
    destroy web
    wait_gone web
    # Else the next ping asks for the last one's address.
    ip neigh flush dev xenbr9
}
shown() { echo "xl create $(median "/tmp/$1-create"), then to the first answer $(median "/tmp/$1-answer"); in the guest: network" \
    "$(median "/tmp/$1-network"), link $(median "/tmp/$1-link"), listens $(median "/tmp/$1-listens")"; }

for _ in $(seq $runs); do boot http; done
note "http with 32 MiB, medians of $runs in ms: $(shown http)"
ip link set xenbr9 down
brctl delbr xenbr9
