# shellcheck shell=bash
# The stack as server: echo, in OCaml and in Rust.

echo_small() { client echo $stack 7 1 1; }
echo_nothing() { client echo $stack 7 0 1; }
echo_16_MiB() { client echo $stack 7 $megabytes 1; }
echo_16_MiB_v6() { client echo $stack6 7 $megabytes 1; }
connections_200() { client echo $stack 7 20000 200; }

ends_in_good_order() {
    start echo $addresses
    within 10 grep 'echo on port 7' "$log" && stop
}

group echo echo_small echo_nothing echo_16_MiB echo_16_MiB_v6 connections_200
alone ends_in_good_order
