# xl shutdown and xl reboot are heard and followed; a suspend is refused.
# images: drivers
# limit: 120

create off drivers 'cmdline="wait"'
wait_console off '^waiting'
xl shutdown off || fail 'xl shutdown'
assert_shutdown off poweroff
assert_console off '^asked for Poweroff'
destroy off

create again drivers 'cmdline="wait"'
wait_console again '^waiting'
# The toolstack does not ask for what is not announced, so the node is written as it would.
xenstore-write "$(path again)/control/shutdown" suspend
wait_console again 'cannot do "suspend"'
assert_equal suspend "$(xenstore-read "$(path again)/control/shutdown")" 'an unacknowledged suspend'
xl reboot again || fail 'xl reboot'
assert_shutdown again reboot
destroy again
