# shellcheck shell=bash
# examples/echo-rust: a server without a line of OCaml.

echo_rust_small() { client echo $stack 7 1 1; }
echo_rust_16_MiB() { client echo $stack 7 $megabytes 1; }
echo_rust_16_MiB_v6() { client echo $stack6 7 $megabytes 1; }
echo_rust_connections_200() { client echo $stack 7 20000 200; }
# Connections that are reset in the middle, and others after them.
echo_rust_resets() {
    timeout 0.2 "$bin/client" echo $stack 7 100000000 20
    client echo $stack 7 $megabytes 1
}

group echo-rust echo_rust_small echo_rust_16_MiB echo_rust_16_MiB_v6 echo_rust_connections_200 echo_rust_resets
