# Each part of Xen that every domain has: clock, event channels, grants, xenstore, console.
# images: drivers
# limit: 120

create all drivers
assert_shutdown all poweroff 60
assert_console all '^all drivers work'
destroy all

# Of output that neither ring nor backlog holds the newest lines arrive, although the domain ends at once, and
# every octet that does not is counted.
create flood drivers 'cmdline="flood"'
assert_shutdown flood poweroff 60
assert_console flood '^line 2999 of what the ring cannot hold at once'
whole='line 0000 of what the ring cannot hold at once'
lost=$(console flood | sed -n 's/.*\[\([0-9]*\) bytes of output lost\].*/\1/p' | awk '{ n += $1 } END { print n + 0 }')
# A line that is cut in two is neither, once for each gap.
gaps=$(console flood | grep -c 'bytes of output lost')
counted=$(($(console flood | grep -c '^line .* at once') + lost / (${#whole} + 2)))
[ $counted -le 3000 ] && [ $((counted + 2 * gaps)) -ge 3000 ] || fail "$counted of 3000 lines came or were counted, with $gaps gaps"
destroy flood

# One guest lends a page to another, which maps it.
create lender drivers 'cmdline="lend"'
create borrower drivers 'cmdline="borrow"'
xenstore-write "$(path lender)/data/peer" "$(domid borrower)"
xenstore-write "$(path borrower)/data/peer" "$(domid lender)"
within 20 xenstore-exists "$(path lender)/data/port" || fail 'the lender lends nothing'
sleep 1
xenstore-write "$(path borrower)/data/go" 1
assert_shutdown lender poweroff
assert_shutdown borrower poweroff
assert_console lender '^lent and given back'
assert_console borrower '^borrowed and returned'
destroy lender
destroy borrower

# What is typed on the console is heard.
create echo drivers 'cmdline="echo"'
wait_console echo '^ready'
printf 'hello there\r' >"$(xenstore-read "$(path echo)/console/tty")"
assert_shutdown echo poweroff
assert_console echo '^heard hello there'
destroy echo
