# shellcheck shell=dash
# What a job in dom0 can do with guests. POSIX sh; needs only xl and xenstore, and
# xenconsoled's logs in /share/console.

# shellcheck disable=SC2034 # the sourcing scripts use them
images=/share/images
consoles=/share/console

# Ends the job or test with a reason.
fail() {
    echo "FAIL: $*" >&2
    exit 1
}

# A figure worth showing; the report has it below the test's line.
note() { echo "NOTE: $*"; }

# create NAME IMAGE [KEY=VALUE...]: a PVH guest that stays visible when it dies. The values are
# xl.cfg's, with their quotes: 'memory=64' 'cmdline="a b"'.
create() {
    create_under -e "$@"
}

# The same with xl's daemon behind it, which acts on on_crash, on_reboot and on_poweroff.
create_supervised() {
    create_under -q "$@"
}

create_under() { # FLAG NAME IMAGE [KEY=VALUE...]
    flag=$1 name=$2 image=$3
    shift 3
    rm -f "$consoles/guest-$name.log"
    xl create "$flag" /dev/null "name=\"$name\"" 'type="pvh"' "kernel=\"$images/$image.elf\"" memory=32 "$@" \
        >"/tmp/create-$name" 2>&1 || fail "xl create $name: $(cat "/tmp/create-$name")"
}

destroy() { xl destroy "$1"; }

# The state letters that xl shows, without the dashes: r b p s c d, or nothing for no such domain.
state() { xl list "$1" 2>/dev/null | awk 'NR == 2 { gsub("-", "", $5); print $5 }'; }

# Why a dead domain died: SHUTDOWN_poweroff 0, _reboot 1, _suspend 2, _crash 3, _watchdog 4
# (Xen's sched.h).
shutdown_code() { xl list --verbose "$1" | awk 'NR == 2 { print $8 }'; }

domid() { xl domid "$1"; }

# The guest's directory in xenstore.
path() { echo "/local/domain/$(domid "$1")"; }

console() { cat "$consoles/guest-$1.log" 2>/dev/null; }

# What waits here gives a number of seconds that is enough where nothing else runs. The end of a wait is for what never
# comes: on a busy machine everything takes many times as long, and may.
patience=4

# within SECONDS COMMAND...: runs the command until it succeeds.
within() {
    deadline=$(($(now) + $1 * 100 * patience))
    shift
    until "$@"; do
        [ "$(now)" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}

# Hundredths of a second since dom0 booted.
now() { cut -d' ' -f1 /proc/uptime | tr -d .; }

in_state() { [ "$(state "$1")" = "$2" ]; }
has_died() { case $(state "$1") in *s* | *c*) ;; *) return 1 ;; esac; }
is_gone() { [ -z "$(state "$1")" ]; }
has_printed() { console "$1" | grep -q -e "$2"; }

# Bounded waits; each fails the test with what was seen instead.
wait_state() { # NAME LETTERS [SECONDS]
    within "${3:-20}" in_state "$1" "$2" || fail "$1 is in state '$(state "$1")', not '$2', after $((${3:-20} * patience)) s"
}
wait_dead() { # NAME [SECONDS]
    within "${2:-20}" has_died "$1" || fail "$1 is in state '$(state "$1")', still alive after $((${2:-20} * patience)) s"
}
wait_gone() { # NAME [SECONDS]
    within "${2:-20}" is_gone "$1" || fail "$1 is still there after $((${2:-20} * patience)) s"
}
wait_console() { # NAME PATTERN [SECONDS]
    within "${3:-20}" has_printed "$1" "$2" || fail "$1 did not print '$2' within $((${3:-20} * patience)) s"
}

# A domain may be dead before xenconsoled has written its last words.
assert_console() { # NAME PATTERN
    within 2 has_printed "$1" "$2" || fail "$1 did not print '$2'"
}
assert_equal() { # EXPECTED FOUND WHAT
    [ "$1" = "$2" ] || fail "$3: expected '$1', found '$2'"
}

# Bytes that have passed a guest's interface: to the guest (tx) or from it (rx).
passed() { cat "/sys/class/net/vif$(domid "$1").0/statistics/$2_bytes"; } # NAME tx|rx
have_passed() { [ "$(passed "$1" "$2")" -ge "$3" ]; }

# Waits until a transfer is under way. After a fixed time it has not begun on a busy machine, and is over on a fast one.
wait_passed() { # NAME tx|rx BYTES
    within 20 have_passed "$1" "$2" "$3" || fail "$(passed "$1" "$2") bytes have passed $1 ($2), and not $3"
}

# Waits for the guest's death and checks how it died.
assert_shutdown() { # NAME poweroff|reboot|crash [SECONDS]
    wait_dead "$1" "${3:-20}"
    case $(shutdown_code "$1") in
        0) found=poweroff ;;
        1) found=reboot ;;
        3) found=crash ;;
        *) found="code $(shutdown_code "$1")" ;;
    esac
    assert_equal "$2" "$found" "shutdown of $1"
}

# Asks the host to run tests/xen/NAME.host.sh, and waits for it to succeed.
host_step() { # NAME [SECONDS]
    # By a name of its own first: 9p looks a file up once more after making it, and by then the host may have taken it.
    : >"/share/host/$1.asked"
    mv "/share/host/$1.asked" "/share/host/$1.request"
    within "${2:-30}" test -e "/share/host/$1.status" || fail "the host's step $1 did not end within $((${2:-30} * patience)) s"
    cat "/share/host/$1.log"
    assert_equal 0 "$(cat "/share/host/$1.status")" "status of the host's step $1"
    rm "/share/host/$1.status"
}
