# `make run` on a machine that is a Xen dom0 itself: xen-run uses that machine's own xl.
# images: rig-poweroff rig-crash drivers

printf 'name = "local"\ntype = "pvh"\nmemory = 32\n' >/tmp/local.cfg
run_locally() { bash /share/rig/xen-run --cfg /tmp/local.cfg "$images/$1.elf" >/tmp/printed; }

run_locally rig-poweroff || fail "a clean poweroff gives status $?"
assert_equal "the rig works" "$(tr -d '\r' </tmp/printed)" "console of a poweroff"
is_gone local || fail "the guest was left behind"

status=0
run_locally rig-crash || status=$?
assert_equal 3 "$status" "status of a guest that crashes with exit status 3"

echo '-- Ctrl-C, which all programs in front of the terminal get'
# A shell has its programs in the background ignore it, and what they start.
(within 20 grep -q '^waiting' /tmp/printed && kill -INT "-$(cat /tmp/running)") &
status=0
: >/tmp/printed
bash -c 'set -m
    bash /share/rig/xen-run --cfg /tmp/local.cfg --cmdline wait --timeout 200 "$0/drivers.elf" >/tmp/printed 2>&1 &
    echo $! >/tmp/running
    wait $!' "$images" || status=$?
assert_equal 0 "$status" "status of a guest that is shut down: $(cat /tmp/printed)"
grep -q '^asked for Poweroff' /tmp/printed || fail "the guest was not asked: $(cat /tmp/printed)"
is_gone local || fail 'the guest was left behind'
