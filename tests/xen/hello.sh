# The examples, as a newcomer runs them: both languages together, and each alone.
# images: hello hello-ocaml hello-rust

create both hello
assert_shutdown both poweroff
assert_console both 'ocaml: Rust says Hello OCaml, this is Rust on xen'
assert_console both 'rust:  OCaml says "42, in OCaml 5'
assert_console both 'rust:  OCaml raised Not_found'
assert_console both 'rust:  tick 3'
assert_console both 'ocaml: tock 2'
destroy both

create ocaml hello-ocaml 'cmdline="--name=Xen"'
assert_shutdown ocaml poweroff
assert_console ocaml 'Hello Xen'
destroy ocaml

# A command line that the program does not know is its own exit status, which Xen sees as a crash.
create wrong hello-ocaml 'cmdline="--nonsense"'
assert_shutdown wrong crash
assert_console wrong '^exit status 64'
destroy wrong

create rust hello-rust
assert_shutdown rust poweroff
assert_console rust 'Hello from Rust on xen'
assert_console rust 'tick 3'
destroy rust

# The least memory that is promised. xl's default pool of page tables is too small for so small a guest.
create small hello 'memory=6' 'shadow_memory=8'
assert_shutdown small poweroff
assert_console small 'rust:  tick 3'
destroy small
