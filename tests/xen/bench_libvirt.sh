# A description as `make xen` writes it: libvirt's daemon on a real Xen defines it, starts the domain, which answers,
# and shuts it down. For this test alone the host fetches libvirt from Debian.
# images: http
# limit: 400

host_step bench_libvirt 120
# In memory, as reading a library page by page from the share is slow; and without those that dom0 has.
at=/tmp/libvirt ip=10.1.16.2
mkdir -p $at/lib /etc/libvirt /usr/share /run/libvirt
# One directory elsewhere.
ln -s /run/libvirt /var/run/libvirt
cp -r $images/libvirt/bin $images/libvirt/drivers $images/libvirt/share $images/libvirt/virt.xml $at
for library in "$images"/libvirt/lib/*; do
    [ -e "/lib/${library##*/}" ] || cp "$library" $at/lib/
done
ln -s $at/share /usr/share/libvirt
# There is no polkit in dom0.
printf '%s\n' 'auth_unix_ro = "none"' 'auth_unix_rw = "none"' >/tmp/libvirtd.conf
with_libraries() { env LD_LIBRARY_PATH=$at/lib LIBVIRT_DRIVER_DIR=$at/drivers "$@"; }
virsh() { with_libraries $at/bin/virsh --connect xen:///system "$@" >/tmp/virsh 2>&1; }
must() { virsh "$@" || fail "virsh $*: $(cat /tmp/virsh); $(tail -n 5 /tmp/libvirtd)"; }

brctl addbr xenbr16
ip addr add 10.1.16.1/24 dev xenbr16
ip link set xenbr16 up
with_libraries $at/bin/libvirtd --config /tmp/libvirtd.conf >/tmp/libvirtd 2>&1 &
daemon=$!
within 150 test -S /var/run/libvirt/libvirt-sock || fail "no libvirtd: $(tail -n 15 /tmp/libvirtd)"
must version
note "$(sed -n 's/^Using API: //p; s/^Running hypervisor: /on /p' /tmp/virsh | tr '\n' ' ')"
must define --validate $at/virt.xml
must start virt
answers() { /bin/curl --silent --fail --max-time 2 --output /dev/null "http://$ip/"; }
within 60 answers || fail "no answer: $(console virt)"
assert_equal 32 "$(xl list virt | awk 'NR == 2 { print $3 }')" 'memory'
must shutdown virt
shut_off() { virsh domstate virt && grep -qx 'shut off' /tmp/virsh; }
within 60 shut_off || fail "virt is $(cat /tmp/virsh)"
must undefine virt
kill $daemon
wait $daemon || true
ip link set xenbr16 down
brctl delbr xenbr16
