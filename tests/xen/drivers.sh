# Each part of Xen that every domain has: clock, event channels, grants, xenstore, console.
# images: drivers
# limit: 120

create all drivers
assert_shutdown all poweroff 60
assert_console all '^all drivers work'
destroy all

# Output that neither ring nor backlog holds arrives whole, although the domain ends at once.
create flood drivers 'cmdline="flood"'
assert_shutdown flood poweroff 60
assert_equal 3000 "$(console flood | grep -c '^line .* at once')" 'lines of the flood'
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
