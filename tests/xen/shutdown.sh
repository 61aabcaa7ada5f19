# xl shutdown and xl reboot are heard and followed; a word that nobody knows is not acknowledged.
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
xenstore-write "$(path again)/control/shutdown" s3
wait_console again 'cannot do "s3"'
assert_equal s3 "$(xenstore-read "$(path again)/control/shutdown")" 'an unacknowledged word'
xl reboot again || fail 'xl reboot'
assert_shutdown again reboot
destroy again
