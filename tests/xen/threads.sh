# Threads beside OCaml on a real Xen: who may call whom, and that OCaml's loop goes on while Rust's main
# function blocks. The image itself says what went wrong.
# images: thread-calls

create threads thread-calls
assert_shutdown threads poweroff 60
for case in 'threads call OCaml' 'what a thread must not do' 'OCaml goes on while main blocks' \
    'Rust blocks below OCaml'; do
    assert_console threads "ok - $case"
done
assert_console threads 'threads beside OCaml work'
destroy threads
