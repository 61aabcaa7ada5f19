# A MirageOS unikernel with a Rust crate, as tests/mirage says: every call that mirage-xen makes.
# images: mirage-probe
# limit: 180

create mirage mirage-probe memory=48 'cmdline="--mirage-word=a --mirust-word=b"'
assert_shutdown mirage poweroff 90
assert_console mirage '^mirage: [0-9]* checks passed'
assert_console mirage '^ok Rust counts beside Mirage'
assert_console mirage '^ok our exit hook'
note "$(console mirage | grep -c '^ok') checks in Mirage's loop"
destroy mirage

# Grants for a real peer, by numbers that Mirage has chosen, mapped by another Mirage.
words='--mirage-word=a --mirust-word=b'
create lender mirage-probe memory=48 "cmdline=\"$words --role=lend\""
create borrower mirage-probe memory=48 "cmdline=\"$words --role=borrow\""
xenstore-write "$(path lender)/data/peer" "$(domid borrower)"
within 20 xenstore-exists "$(path lender)/data/gref" || fail "the lender lends nothing: $(console lender)"
xenstore-write "$(path borrower)/data/peer" "$(domid lender)"
xenstore-write "$(path borrower)/data/gref" "$(xenstore-read "$(path lender)/data/gref")"
within 20 xenstore-exists "$(path borrower)/data/returned" || fail "nothing is returned: $(console borrower)"
xenstore-write "$(path lender)/data/done" 1
assert_shutdown lender poweroff
assert_shutdown borrower poweroff
assert_console lender '^ok both end'
assert_console borrower '^ok one page'
destroy lender
destroy borrower

# The toolstack's request ends it, since nobody in Mirage asks for those.
create asked mirage-probe memory=48 "cmdline=\"$words --role=lend\""
wait_console asked '^ok waiting for a peer'
xl shutdown asked
assert_shutdown asked poweroff
assert_console asked '^ok our exit hook'
destroy asked

# Without memory, the last line says how much there is and what to do.
create hoard mirage-probe memory=20 "cmdline=\"$words --role=hoard\""
assert_shutdown hoard crash
assert_console hoard '^crashed: uncaught OCaml exception: Out_of_memory: [0-9]* KiB asked for, .* KiB free.*; give the domain more'
