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
