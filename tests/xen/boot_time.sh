# How long a guest takes from its first instruction to OCaml's toplevel, as dom0 sees it: from
# `xl unpause` to the first line on the console. No limit but the test's own: the figure is for people.
# images: hello hello-rust

# Hundredths of a second to the first output. The loop's own step is about one of them.
first_line() { # IMAGE
    create start "$1" >/dev/null
    wait_dead start
    destroy start
    rm -f "$consoles/guest-start.log"
    xl create -p -e /dev/null 'name="start"' 'type="pvh"' "kernel=\"$images/$1.elf\"" memory=32 >/dev/null 2>&1
    before=$(now)
    xl unpause start
    until [ -s "$consoles/guest-start.log" ]; do sleep 0.01; done
    echo $(($(now) - before))
    wait_dead start
    destroy start
}

note "combined hello: first line $(first_line hello)0 ms after xl unpause"
note "Rust alone: $(first_line hello-rust)0 ms"
