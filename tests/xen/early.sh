# What goes wrong before there is a heap is told on the console, and counts as a crash: a triple fault would be a
# reboot to Xen, and the domain would start again and again.
# images: hello
# limit: 60

long=$(head -c 6000 /dev/zero | tr '\0' A)
create long hello "cmdline=\"--greeting=$long\""
assert_shutdown long crash
wait_console long 'crashed: cannot boot: command line is longer than 4095 bytes' 5

# The longest one there is room for.
create fits hello "cmdline=\"--greeting=$(echo "$long" | cut -c -4000)\""
assert_shutdown fits poweroff

# Less memory than the map promises: Xen would end a domain that uses the rest.
create pod hello memory=32 maxmem=128
assert_shutdown pod poweroff
destroy pod
# And so much more that the domain can never have it.
create pod hello memory=12 maxmem=3328 vcpus=1
assert_shutdown pod poweroff
assert_console pod 'maxmem is far above memory'
