# Each way to die is seen by xl as a crash, and its cause is the console's last line.
# images: probe
# limit: 120

last_line() { console "$1" | tr -d '\r' | tail -n 1; }
ends_with() { last_line "$1" | grep -q -e "$2"; }
crashes() { # CASE LAST-LINE
    create "$1" probe "cmdline=\"--case=$1\""
    assert_shutdown "$1" crash
    case $(state "$1") in *c*) ;; *) fail "$1: the state letters are '$(state "$1")'" ;; esac
    # xenconsoled may still be writing.
    within 2 ends_with "$1" "$2" || fail "$1: the last line is '$(last_line "$1")'"
    destroy "$1"
}

crashes exception '^crashed: uncaught OCaml exception: Failure("an exception on purpose")'
crashes panic '^crashed: uncaught OCaml exception: Rust panic: a panic on purpose'
crashes null '^crashed: page fault: write to 0x0'
crashes exit '^exit status 7'

# What a program can survive, it survives.
create survive probe 'cmdline="--case=survive"'
assert_shutdown survive poweroff 40
assert_console survive 'caught a panic on purpose'
assert_console survive 'caught a stack overflow'
assert_console survive 'caught out of memory'
assert_console survive '^survived'
destroy survive

# One that hangs can be asked where it is, also if it sleeps.
create asleep probe 'cmdline="--case=asleep"'
wait_console asleep 'case asleep' 30
wait_state asleep b 20
xl trigger asleep nmi || fail 'xl trigger asleep nmi'
assert_shutdown asleep crash 30
assert_console asleep 'backtrace'
assert_console asleep '^crashed: '
destroy asleep

# xl itself acts on a crash: it destroys the domain, or starts another.
create_supervised gone probe 'cmdline="--case=null"' 'on_crash="destroy"'
wait_gone gone

# Each domain called `again` adds to the same log.
create_supervised again probe 'cmdline="--case=null"' 'on_crash="restart"'
started_twice() { [ "$(console again | grep -c '^case null')" -ge 2 ]; }
within 30 started_twice || fail 'xl started no other domain'
