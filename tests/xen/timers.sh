# Both languages sleep on one domain poll: ten timers each, half a period apart. What is asserted comes
# from the poll's counters and from the order of the lines, not from the clock of an emulated machine.
# images: probe

create timers probe 'cmdline="--case=timers"'
assert_shutdown timers poweroff 30
counter() { console timers | tr -d '\r' | sed -n "s/^$1 //p" | tail -n 1; }

assert_equal '1 2 3 4 5 6 7 8 9 10' "$(console timers | sed -n 's/^rust \([0-9]*\).*/\1/p' | tr '\n' ' ' | sed 's/ $//')" 'ticks of Rust'
assert_equal '1 2 3 4 5 6 7 8 9 10' "$(console timers | sed -n 's/^ocaml \([0-9]*\).*/\1/p' | tr '\n' ' ' | sed 's/ $//')" 'ticks of OCaml'
assert_equal 10 "$(counter timers)" 'timers of Rust that fired'

# On an idle machine the languages take turns; on a busy one several timers can be due at once. Neither
# language ever has all its turns before the other's first.
changes=$(console timers | sed -n 's/^\(rust\|ocaml\) [0-9].*/\1/p' | uniq | wc -l)
[ "$changes" -ge 4 ] || fail "the languages took turns only $changes times"

# Every sleep of either language is a block of the same poll: at most one for each timer, with one to
# spare, besides those that an event of the console ended early. More would be a busy loop.
blocks=$(counter blocks) wakeups=$(counter wakeups) events=$(counter events)
[ "$blocks" -ge 2 ] || fail "only $blocks blocks"
[ $((blocks - wakeups)) -le 21 ] || fail "$((blocks - wakeups)) blocks until a deadline, for 20 timers"
[ "$wakeups" -le "$events" ] || fail "$wakeups blocks ended early, by $events events"
destroy timers
