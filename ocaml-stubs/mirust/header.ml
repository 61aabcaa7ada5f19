[@@@ocamlformat "disable"]

(* Generated from ffi/include/mirust.h: edit ffi/src, then run `make header`.
   What the names mean is said there. *)

let abi_version = 3
let ready_foreign = 1
let ready_timer = 2
let ready_shutdown = 4
let ready_nested = 8
let log_always = 16
let completion_none = -1
let completion_future = -2
let token_index_bits = 24
let turn_now = 0
let turn_completions = 1
let turn_woken = 2
let turn_tokens = 3
let turn_tokens_max = 253

module Poll_stats = struct
  type t = {
    polls : int; (* Calls of the poll, from either language. *)
    blocks : int; (* Times the domain gave up the processor. *)
    wakeups : int; (* Blocks that ended before their deadline, by an event. *)
    events : int; (* Events dispatched. *)
    tasks_run : int; (* Turns of Rust tasks. *)
    timers_fired : int; (* Timers of Rust tasks that fired. *)
    completions : int; (* Completions that OCaml collected. *)
  }

  (* As the function [fill] of the C ABI fills it in. *)
  let get fill =
    let b = Bytes.make 56 '\000' in
    ignore (fill b 56 : int);
    let field at = Int64.to_int (Bytes.get_int64_ne b at) in
    {
      polls = field 0;
      blocks = field 8;
      wakeups = field 16;
      events = field 24;
      tasks_run = field 32;
      timers_fired = field 40;
      completions = field 48;
    }
end

module Mem_stats = struct
  type t = {
    total : int; (* Memory that the runtime manages. *)
    free : int; (* Free, not counting the reserve for OCaml's collector. *)
    heap : int; (* Allocated by malloc and by Rust. *)
    mapped : int; (* Committed by mmap, which is where the OCaml heap lives. *)
  }

  (* As the function [fill] of the C ABI fills it in. *)
  let get fill =
    let b = Bytes.make 32 '\000' in
    ignore (fill b 32 : int);
    let field at = Int64.to_int (Bytes.get_int64_ne b at) in
    {
      total = field 0;
      free = field 8;
      heap = field 16;
      mapped = field 24;
    }
end
