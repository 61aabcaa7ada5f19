# The rig itself: a guest of a few instructions prints, and xl sees each way in which it can end.
# images: rig-poweroff rig-reboot rig-crash

for end in poweroff reboot crash; do
    create "$end" "rig-$end"
    assert_shutdown "$end" "$end"
    wait_console "$end" 'the rig works' 5
    destroy "$end"
    wait_gone "$end"
done
