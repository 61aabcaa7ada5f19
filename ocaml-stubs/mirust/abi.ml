(* The C ABI of the runtime (ffi/include/mirust.h), as the core library calls it.

   No stub stands between: integers are passed untagged, 64-bit numbers unboxed, and a [bytes] or
   [string] value is a pointer to its first byte. A [unit] argument is passed in a register that the
   callee does not read. [@@noalloc] is on every function that neither allocates on the OCaml heap
   nor runs OCaml code; [poll] and [exchange] may do both, because Rust tasks run inside them.

   Functions with nothing to say return 0 all the same: an OCaml external has to return a value. *)

let () = ignore Setup.at_start

external time_monotonic_ns : unit -> (int64[@unboxed])
  = "mirust_native_only" "mirust_time_monotonic_ns"
[@@noalloc]

external time_wall_ns : unit -> (int64[@unboxed]) = "mirust_native_only" "mirust_time_wall_ns"
[@@noalloc]

external poll : (int64[@unboxed]) -> (int[@untagged]) = "mirust_native_only" "mirust_poll"

type words = (char, Bigarray.int8_unsigned_elt, Bigarray.c_layout) Bigarray.Array1.t

external turn_words : unit -> words = "mirust_turn_words"
external turn_look : unit -> (int[@untagged]) = "mirust_native_only" "mirust_turn_look" [@@noalloc]
external turn_end : unit -> (int[@untagged]) = "mirust_native_only" "mirust_turn_end"
external exchange : (int[@untagged]) -> (int[@untagged]) = "mirust_native_only" "mirust_exchange"

external poll_stats : bytes -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_poll_stats"
[@@noalloc]

external mem_stats : bytes -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_mem_stats"
[@@noalloc]

external completion_next : unit -> (int[@untagged]) = "mirust_native_only" "mirust_completion_next"
[@@noalloc]

external console_write : string -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_console_write"
[@@noalloc]

external log :
  (int[@untagged]) -> string -> (int[@untagged]) -> string -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_log"
[@@noalloc]

external log_set_level : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_log_set_level"
[@@noalloc]

external cmdline : bytes -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_cmdline"
[@@noalloc]

external random : bytes -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_random"
[@@noalloc]

external shutdown_reason : unit -> (int[@untagged]) = "mirust_native_only" "mirust_shutdown_reason"
[@@noalloc]

external shutdown_awaited : unit -> (int[@untagged])
  = "mirust_native_only" "mirust_shutdown_awaited"
[@@noalloc]

external rust_main : unit -> (int[@untagged]) = "mirust_native_only" "mirust_rust_main" [@@noalloc]

external crash : string -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_crash"
[@@noalloc]

external exception_frames : bytes -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_exception_frames"
[@@noalloc]

external platform_name : bytes -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_platform_name"
[@@noalloc]

external patience :
  (int[@untagged]) -> (int[@untagged]) -> (int[@untagged]) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_patience"
[@@noalloc]

external exit : (int[@untagged]) -> (int[@untagged]) = "mirust_native_only" "mirust_exit"
[@@noalloc]
