# shellcheck shell=sh
# What the scripts beside this file share: their help, and how they read xl's configurations. `. "$(dirname "$0")/xl.sh"`

# The comment at a script's head.
help() { sed -n '2,${/^#/!q;s/^# \{0,1\}//p;}' "$0"; }

# begin NUMBER ARGUMENT...: whether there are so many, the first of them a configuration, which is `cfg` from now on
begin() {
    case ${2-} in -h | --help) help && exit ;; esac
    [ $# = $(($1 + 1)) ] || { help >&2 && exit 2; }
    cfg=$2
    [ -r "$cfg" ] || die "there is no $cfg; make xen and cargo mirust build write it"
}

complain() { printf '%s: %s\n' "${0##*/}" "$1" >&2; }
die() { complain "$1" && exit 1; }

# The last value of a key, as xl reads it: a number, or a string, in which a backslash keeps a quote or another backslash.
value() { # KEY
    sed -nE "s/^$1 *= *\"(([^\"\\\\]|\\\\.)*)\".*/\1/p;s/^$1 *= *'(([^'\\\\]|\\\\.)*)'.*/\1/p;s/^$1 *= *([0-9]+).*/\1/p" \
        "$cfg" | tail -n 1 | sed -E "s/\\\\([\\\\\"'])/\1/g"
}

is_set() { grep -q "^$1 *=" "$cfg"; } # KEY

# The kernel's command line.
command_line() {
    if is_set cmdline; then value cmdline; else printf '%s\n' "$(value root) $(value extra)" | sed 's/^ *//;s/ *$//'; fi
}

# The devices of the last list, such as `vif = ["", 'bridge=xenbr1']`: one a line, in their quotes. A list may go over
# several lines, with comments.
devices() { # KEY
    sed -E 's/(^|[[:space:]])#.*//' "$cfg" | awk -v begins="^$1 *= *\\\\[" '
        $0 ~ begins { list = ""; open = 1 }
        open { list = list $0 " " }
        /]/ { open = 0 }
        END { print list }' | grep -o "['\"][^'\"]*['\"]"
}
of_device() { printf %s "$1" | tr -d "'\"" | tr , '\n' | sed -n "s/^ *$2 *= *//p"; } # DEVICE KEY
keys_of_device() { printf %s "$1" | tr -d "'\"" | tr , '\n' | sed -n 's/^ *\([a-z]*\) *=.*/\1/p'; } # DEVICE

# left_out KEY REMEDY: says so where the configuration has it
left_out() { ! is_set "$1" || complain "$cfg: $1 is left out: $2"; }
