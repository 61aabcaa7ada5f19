# `make run` on a machine that is a Xen dom0 itself: xen-run uses that machine's own xl.
# images: rig-poweroff rig-crash

printf 'name = "local"\ntype = "pvh"\nmemory = 32\n' >/tmp/local.cfg
run_locally() { bash /share/rig/xen-run --cfg /tmp/local.cfg "$images/$1.elf" >/tmp/printed; }

run_locally rig-poweroff || fail "a clean poweroff gives status $?"
assert_equal "the rig works" "$(tr -d '\r' </tmp/printed)" "console of a poweroff"
is_gone local || fail "the guest was left behind"

status=0
run_locally rig-crash || status=$?
assert_equal 3 "$status" "status of a guest that crashes with exit status 3"
