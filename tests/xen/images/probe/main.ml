(* An image that tests how guests live and die. `--case` says what it does. *)

open Lwt.Infix
open Mirust

external tick : (int[@untagged]) -> (int[@untagged]) -> (int[@untagged]) -> (int[@untagged]) -> unit
  = "mirust_native_only" "mirust_export_probe_tick"

external panic : unit -> unit = "mirust_export_probe_panic"
external panic_in_task : unit -> unit = "mirust_export_probe_panic_in_task"
external null_write : unit -> unit = "mirust_export_probe_null_write"

let case =
  let doc = "What to do." in
  Bootvar.register Cmdliner.Arg.(value & opt string "idle" & info [ "case" ] ~doc)

(* Does something else than sleeping only now and then, until the toolstack ends the domain. *)
let rec idle () = Time.ns 200_000_000L >>= idle

(* Both languages wake ten times, each half a period after the other. *)
let timers () =
  let period = 40_000_000 and n = 10 in
  let start = Int64.to_int (Mclock.elapsed_ns ()) + period in
  let before = Stats.Poll.get () in
  let ticked, rust = Completion.create () in
  tick start period n ticked;
  let rec tock k =
    if k > n then Lwt.return_unit
    else
      let due = start + (period / 2) + (k * period) in
      Time.ns (Int64.of_int (due - Int64.to_int (Mclock.elapsed_ns ()))) >>= fun () ->
      if Int64.to_int (Mclock.elapsed_ns ()) < due then failwith "woken too early";
      Printf.printf "ocaml %d\n%!" k;
      tock (k + 1)
  in
  Lwt.join [ rust; tock 1 ] >|= fun () ->
  let after = Stats.Poll.get () in
  let count name field = Printf.printf "%s %d\n" name (field after - field before) in
  count "blocks" (fun s -> s.Stats.Poll.blocks);
  count "wakeups" (fun s -> s.Stats.Poll.wakeups);
  count "events" (fun s -> s.Stats.Poll.events);
  count "timers" (fun s -> s.Stats.Poll.timers_fired)

let rec recurse n = 1 + recurse (n + 1)
let rec hoard kept = hoard (Bytes.create 1_000_000 :: kept)

let run () =
  Printf.printf "case %s\n%!" (case ());
  match case () with
  | "idle" -> idle ()
  | "asleep" -> Main.shutdown_requested () >|= ignore
  | "timers" -> timers ()
  | "exception" -> failwith "an exception on purpose"
  | "panic" -> Lwt.return (panic ())
  | "survive" ->
      (try panic () with Panic m -> Printf.printf "caught %s\n%!" m);
      (try ignore (recurse 0 : int) with Stack_overflow -> print_endline "caught a stack overflow");
      (try ignore (hoard [] : unit) with Out_of_memory -> print_endline "caught out of memory");
      panic_in_task ();
      Time.ns 50_000_000L >|= fun () -> print_endline "survived"
  | "null" -> Lwt.return (null_write ())
  | "exit" -> exit 7
  | other -> failwith ("no such case: " ^ other)

let () = Main.run (run ())
