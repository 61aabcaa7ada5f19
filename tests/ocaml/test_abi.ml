(* Every external of the core library is called once, with a full collection on either side of the call
   and a compaction after it: an external that is wrongly [@@noalloc] or unboxed rarely survives that. *)

module Abi = Mirust__Abi
module Setup = Mirust__Setup

let around f =
  Gc.full_major ();
  let v = f () in
  Gc.full_major ();
  Gc.compact ();
  v

let case name f = Alcotest.test_case name `Quick (fun () -> around f)
let check_int = Alcotest.(check int)
let check_bool = Alcotest.(check bool)

let struct_size f =
  (* The whole struct, a part of it, and nothing. *)
  let b = Bytes.make 256 '\xff' in
  let size = f b 256 in
  check_bool "a multiple of 8" true (size > 0 && size mod 8 = 0);
  check_bool "not beyond it" true (Bytes.get b size = '\xff');
  let short = Bytes.make 256 '\xff' in
  check_int "the size, though it does not fit" size (f short 8);
  check_bool "not beyond what fits" true (Bytes.get short 8 = '\xff');
  check_int "the size alone" size (f Bytes.empty 0)

let tests =
  [
    case "version" (fun () -> check_int "version" 3 (Setup.version ()));
    case "init_again_is_harmless" (fun () ->
        check_int "OCaml has a main of its own here" 1 (Setup.init ()));
    case "platform_name" (fun () ->
        let b = Bytes.make 16 ' ' in
        let n = Abi.platform_name b 16 in
        Alcotest.(check string) "name" "unix" (Bytes.sub_string b 0 n));
    case "monotonic_clock_does_not_go_back" (fun () ->
        let a = Abi.time_monotonic_ns () in
        let b = Abi.time_monotonic_ns () in
        check_bool "order" true (a >= 0L && b >= a));
    case "wall_clock_is_in_this_century" (fun () ->
        let s = Int64.div (Abi.time_wall_ns ()) 1_000_000_000L in
        check_bool "range" true (s > 1_600_000_000L && s < 4_102_444_800L));
    case "poll_with_a_past_deadline_returns_at_once" (fun () ->
        check_int "timer" 2 (Abi.poll 0L land 2));
    case "words_of_a_turn" (fun () ->
        check_bool "room" true (Bigarray.Array1.dim (Abi.turn_words ()) = 8 * 256);
        ignore (Abi.poll 0L : int);
        let now = Mirust.Exchange.now () in
        check_bool "the poll's time" true (now > 0 && now <= Int64.to_int (Abi.time_monotonic_ns ())));
    case "exchange_without_a_task" (fun () -> check_int "tasks" 0 (Abi.exchange 1));
    case "tokens_of_nobody_and_more_than_there_is_room_for" (fun () ->
        for token = 1 to 1000 do
          Mirust.Exchange.wake token
        done;
        check_int "woken" 0 (Abi.turn_end ()));
    case "poll_stats" (fun () -> struct_size Abi.poll_stats);
    case "mem_stats" (fun () -> struct_size Abi.mem_stats);
    case "no_completion" (fun () -> check_int "none" (-1) (Abi.completion_next ()));
    case "console_write" (fun () -> check_int "written" 0 (Abi.console_write "console\n" 8));
    case "log_levels" (fun () ->
        check_int "error" 0 (Abi.log 1 "test" 4 "a message" 9);
        check_int "no such level" (-1) (Abi.log 6 "test" 4 "a message" 9);
        check_int "always" 0 (Abi.log (16 + 4) "" 0 "" 0));
    case "log_set_level" (fun () ->
        check_int "no such level" (-1) (Abi.log_set_level 6);
        check_int "off" 0 (Abi.log_set_level 0);
        check_int "warnings" 0 (Abi.log_set_level 2));
    case "cmdline" (fun () ->
        let n = Abi.cmdline Bytes.empty 0 in
        Alcotest.(check int) "as long as said" n (String.length (Mirust.Bootvar.cmdline ())));
    case "random" (fun () ->
        let a = Mirust.Random.generate 32 and b = Mirust.Random.generate 32 in
        check_bool "differs" true (a <> b);
        check_int "nothing" 0 (Abi.random Bytes.empty 0));
    case "nobody_asked_for_the_end" (fun () -> check_int "none" 0 (Abi.shutdown_reason ()));
    case "nobody_in_rust_waits_for_it" (fun () -> check_int "no" 0 (Abi.shutdown_awaited ()));
    case "ocaml_owns_main" (fun () -> check_int "main" 0 (Abi.rust_main ()));
  ]
