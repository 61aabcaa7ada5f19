# shellcheck shell=bash
# Shared by the scripts in this directory: where things are, and how to say what goes on.
# shellcheck disable=SC2034 # the sourcing scripts use them

rig=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
project=$(cd "$rig/../.." && pwd -P)

# Without HOME, as below some schedulers and containers, it is what the machine knows of this user.
[ -n "${HOME:-}" ] || { unset HOME && export HOME=~; }

# Everything heavy lives here, outside the source tree, and is shared by every checkout.
cache=${MIRUST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mirust}

# The private Debian root, used where the machine's own packages are too old.
suite=trixie
root=$cache/$suite

# Debian gives ordinary users a PATH without the directories of chroot, ip, mkfs.erofs and the like.
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Messages that scripts read are in English, whatever the user's language; letters beyond ASCII stay letters.
export LC_ALL=C.UTF-8

# A file inside that root; its presence tells a script that it already runs there.
in_root_mark=/etc/mirust-root

say() { printf '==> %s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
    exit "${die_status:-1}"
}

# Prints the comment block at the head of script $1, which is its help text.
usage() { awk 'NR == 1 { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "$1"; }

# The packages of the named groups, one a line.
packages() {
    local group
    for group; do sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$rig/packages/$group"; done
}

# version_at_least WANTED HAVE
version_at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# apt-get or apt-cache with package lists of its own, so that no root is needed to renew them. Only for `get update`,
# `get download` and questions. One at a time: apt-get does not wait for who renews the lists.
own_apt() { # get|cache ARGUMENT...
    local program=apt-$1
    shift
    mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial"
    flock "$cache/apt/lock" \
        "$program" -o Dir::State::Lists="$cache/apt/lists" -o Dir::Cache="$cache/apt" -o APT::Sandbox::User=root "$@"
}

# Is this machine Debian 13 itself, whose packages are the ones we want?
is_native_debian() {
    [ -r /etc/os-release ] && (
        # shellcheck source=/dev/null
        . /etc/os-release
        [ "${ID:-}" = debian ] && [ "${VERSION_CODENAME:-}" = "$suite" ]
    )
}

# Where the toolchain or the rig (QEMU, dom0 tools) is, as `setup` decided: `native` or `root`.
place_of() { # toolchain|rig
    if [ -e "$in_root_mark" ]; then
        echo native
    elif [ -r "$cache/place-$1" ]; then
        cat "$cache/place-$1"
    elif is_native_debian; then
        echo native
    else
        die "the $1 is not installed yet" "run: make setup"
    fi
}

# Runs "$@" as root with mounts of its own: as root in a mount namespace, else also in a user
# namespace. `ids=all` maps a whole range of user ids, as installing packages needs; and whatever COMMAND starts ends
# with it, at once if this process is killed (KILL: other signals wait for COMMAND).
with_own_mounts() { # [ids=all] COMMAND...
    local flags=(--mount --propagation private) ids=
    [ "$1" != ids=all ] || { ids=all && shift; }
    [ "$EUID" -eq 0 ] || flags+=(--map-root-user ${ids:+--map-auto})
    [ -z "$ids" ] || flags+=(--pid --fork --kill-child)
    exec unshare "${flags[@]}" -- "$@"
}
