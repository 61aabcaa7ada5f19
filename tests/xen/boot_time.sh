# How long a guest takes to be of use, as dom0 sees it: from `xl unpause` to the first line on the console, and to
# the first answer of a service over TCP. No limit but the test's own: the figures are for people.
# images: hello hello-rust echo
# programs: client

# Makes the guest `start`, which waits for `xl unpause`.
create_paused() { # IMAGE MEMORY [KEY=VALUE...]
    image=$1 memory=$2
    shift 2
    rm -f "$consoles/guest-start.log"
    xl create -p -e /dev/null 'name="start"' 'type="pvh"' "kernel=\"$images/$image.elf\"" "memory=$memory" \
        shadow_memory=8 "$@" >/tmp/create-start 2>&1 || fail "xl create: $(cat /tmp/create-start)"
    before=$(now)
    xl unpause start
}

# Waits for a line of the console, and shows the milliseconds since; dom0's clock counts hundredths of seconds.
line() { # PATTERN
    limit=$((before + 3000 * patience))
    until grep -q "$1" "$consoles/guest-start.log" 2>/dev/null; do
        [ "$(now)" -lt "$limit" ] || fail "no line '$1': $(console start)"
        sleep 0.01
    done
    echo $(($(now) - before))0
}

first_line() { # IMAGE MEMORY
    create_paused "$1" "$2"
    line .
    wait_dead start
    destroy start
}

note "combined hello: first line $(first_line hello 32) ms after xl unpause, $(first_line hello 8) ms with 8 MiB"
note "Rust alone: $(first_line hello-rust 32) ms"

create_paused echo 16 'vif=["script=vif-rig,bridge=xenbr0"]' 'cmdline="--ipv4=10.0.2.22/24"'
up=$(line 'echo on port 7')
timeout 80 /share/programs/client echo 10.0.2.22 7 10 1 || fail 'no echo'
note "echo with 16 MiB: up after $up ms, has answered after $(($(now) - before))0 ms"
destroy start
