# shellcheck shell=bash
# Wrong command lines: the program ends with 64, or with 1 if a device cannot be had, and says what is wrong.

# refused STATUS WORDS NAME ARGUMENT...
refused() {
    local status=0 expected=$1 words=$2
    shift 2
    start "$@"
    within 2 eval '! runs' || { echo "$*: it runs" && stop && return 1; }
    ended || status=$?
    # Cmdliner folds its messages.
    [ $status = "$expected" ] && tr -s ' \n' ' ' <"$log" | grep -aF -e "$words" >/dev/null ||
        { echo "$*: status $status" && cat "$log" && return 1; }
}
parameters_that_are_no_numbers() {
    local value
    for value in '' 0 -1 x 63 65536 0x100 1_000 99999999999999999999; do
        refused 64 'number from 64 to 65535' echo $addresses "--receive-pages=$value" || return
    done
    refused 64 'number from 16 to 65535' echo $addresses --send-pages=15 || return
    refused 64 "option '--receive-pages' cannot be repeated" echo $addresses --receive-pages=64 --receive-pages=65
}
parameters_that_are_empty() {
    local option
    for option in ipv4 ipv4-gateway ipv6 ipv6-gateway ipv6-secret network-memory dhcp logs; do
        refused 64 "--$option" echo "--$option=" || return
    done
}
parameters_that_name_no_disk() {
    refused 1 'disk data: /tmp/none/such: open: No such file' kv --disk=data:/tmp/none/such
}

alone parameters_that_are_no_numbers parameters_that_are_empty parameters_that_name_no_disk
