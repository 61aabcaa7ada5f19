# Twenty domains, one after another: destroyed while they run, they leave nothing behind.
# images: probe
# limit: 240

free_memory() { xl info | sed -n 's/^free_memory *: *//p'; }

cycle() {
    create cycle probe 'cmdline="--case=idle"'
    wait_console cycle '^case idle'
    destroy cycle
    wait_gone cycle
}

# The first domain leaves Xen's and xenstored's caches larger.
cycle
before=$(free_memory)
i=1
while [ "$i" -lt 20 ]; do
    cycle
    i=$((i + 1))
done
after=$(free_memory)
[ "$after" -ge "$before" ] || fail "free memory went from $before to $after MiB"
assert_equal 1 "$(xl list | awk 'NR > 1' | wc -l)" 'domains left (dom0)'
