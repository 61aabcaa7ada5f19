# CPU exceptions in a domain: a program that has handlers for them goes on, on its main stack and on threads; where a
# handler passes one on, or there is no room for it, xl sees a crash whose cause is the console's last line.
# images: boot-threads
# limit: 60

create handled boot-threads 'cmdline="exceptions"'
assert_shutdown handled poweroff 40
for case in 'a handler goes on elsewhere' 'a handler mends the page, and the access is made again' \
    'a handler on an alternate stack' 'an exception on a thread' 'code that is written and then executed'; do
    assert_console handled "^ok - $case"
done
assert_console handled '^exceptions works'
destroy handled

crashes() { # CASE LAST-LINE
    create reported boot-threads "cmdline=\"$1\""
    assert_shutdown reported crash 40
    within 2 ends_with "$2" || fail "$1: the last line is '$(last_line)'"
    destroy reported
}
last_line() { console reported | tr -d '\r' | tail -n 1; }
ends_with() { last_line | grep -q "$1"; }
crashes 'exception passed on' '^crashed: page fault: write to 0x2000'
crashes 'exception without room' '(guard page below the stack of digger)'
