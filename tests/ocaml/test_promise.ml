(* Rust futures as promises, and promises as Rust futures. A collection, with compaction, happens between
   any two steps that wait. *)

open Lwt.Infix
open Mirust

external future_isize : (int[@untagged]) -> int Lwt.t
  = "mirust_native_only" "mirust_export_test_future_isize"

external future_i64 : (int64[@unboxed]) -> int64 Lwt.t
  = "mirust_native_only" "mirust_export_test_future_i64"

external future_f64 : (float[@unboxed]) -> float Lwt.t
  = "mirust_native_only" "mirust_export_test_future_f64"

external future_string : string -> (int64[@unboxed]) -> string Lwt.t
  = "mirust_native_only" "mirust_export_test_future_string"

external future_result : string -> (int, string) result Lwt.t = "mirust_export_test_future_result"

external future_option : (int[@untagged]) -> string option option Lwt.t
  = "mirust_native_only" "mirust_export_test_future_option"

external future_root : string -> (int64[@unboxed]) -> string Lwt.t
  = "mirust_native_only" "mirust_export_test_future_root"

external future_panic : string -> int Lwt.t = "mirust_export_test_future_panic"
external future_for_ever : unit -> int Lwt.t = "mirust_export_test_future_for_ever"

external future_made_in_task : string -> (string, string) result Lwt.t
  = "mirust_export_test_future_made_in_task"

external result : (int[@untagged]) -> (string, int) result
  = "mirust_native_only" "mirust_export_test_result"

external dropped : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_dropped"
[@@noalloc]

external awaited : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_awaited"
[@@noalloc]

external promise : string Lwt.t -> string Lwt.t = "mirust_export_test_promise"

external promise_timeout : string Lwt.t -> (int64[@unboxed]) -> string option Lwt.t
  = "mirust_native_only" "mirust_export_test_promise_timeout"

external promise_detach : string Lwt.t -> unit Lwt.t = "mirust_export_test_promise_detach"
external promise_blocked : string Lwt.t -> bool = "mirust_export_test_promise_blocked"

external call_async : (string -> string Lwt.t) -> (int[@untagged]) -> string Lwt.t
  = "mirust_native_only" "mirust_export_test_call_async"

external test_await : (int -> int Lwt.t) -> (int[@untagged]) -> unit Lwt.t
  = "mirust_native_only" "mirust_export_bench_await"

let ms n = Int64.mul (Int64.of_int n) 1_000_000L

(* The value of a promise, in a program of its own. *)
let await p =
  let v = ref None in
  Main.run (p >|= fun x -> v := Some x);
  Option.get !v

let turn () =
  Gc.compact ();
  Main.run (Time.ns (ms 1));
  Gc.compact ()

(* Nobody waits for anything when a test is over. *)
let case name f =
  Alcotest.test_case name `Quick (fun () ->
      let completions = Completion.pending () in
      Test_abi.around f;
      turn ();
      Alcotest.(check int) "futures and promises awaited" 0 (awaited 0);
      Alcotest.(check int) "completions" completions (Completion.pending ()))

let values () =
  let open Alcotest in
  check int "isize" 42 (await (future_isize 41));
  check int64 "i64" 42L (await (future_i64 41L));
  check (float 0.) "f64" 0.25 (await (future_f64 0.5));
  check string "string" "HELLO" (await (future_string "hello" 0L));
  check string "string, later" "HELLO" (await (future_string "hello" (ms 2)));
  check (result int string) "ok" (Ok 12) (await (future_result "12"));
  check (result int string) "error" (Error "1x") (await (future_result "1x"));
  check (option (option string)) "none" None (await (future_option (-1)));
  check (option (option string)) "some none" (Some None) (await (future_option 0));
  check (option (option string)) "some" (Some (Some "positive")) (await (future_option 1));
  check (result string string) "rooted" (Ok "x") (await (future_made_in_task "x"))

let results () =
  Alcotest.(check (result string int)) "ok" (Ok "7") (result 7);
  Alcotest.(check (result string int)) "error" (Error (-7)) (result (-7))

let roots () =
  let s = String.concat "" [ "he"; "re" ] in
  let p = future_root s (ms 2) in
  Gc.compact ();
  Alcotest.(check string)
    "the same" "here"
    (await
       ( Time.ns (ms 1) >>= fun () ->
         Gc.compact ();
         p ))

let later () =
  let p = future_isize 1 in
  Alcotest.(check bool) "not inside the call" true (Lwt.is_sleeping p);
  ignore (await p : int)

let panics () =
  for i = 1 to 100 do
    let message = string_of_int i in
    (match await (future_panic message) with
    | _ -> Alcotest.fail "no exception"
    | exception Panic m -> Alcotest.(check string) "the message" message m);
    if i mod 10 = 0 then Gc.compact ()
  done

let quiet f () =
  Log.set_level None;
  Fun.protect ~finally:(fun () -> Log.set_level (Some Logs.Info)) f

let cancelled () =
  let before = dropped 0 in
  let p = future_for_ever () in
  turn ();
  Alcotest.(check int) "runs" before (dropped 0);
  Lwt.cancel p;
  Alcotest.(check bool) "cancelled" true (Lwt.state p = Fail Lwt.Canceled);
  Alcotest.(check int) "not inside the call" before (dropped 0);
  turn ();
  Alcotest.(check int) "dropped" (before + 1) (dropped 0);
  (* Before its first turn: it never runs. *)
  Lwt.cancel (future_for_ever ());
  turn ();
  Alcotest.(check int) "never made" (before + 1) (dropped 0);
  (* Between its end and the loop's. *)
  let p = future_string "x" 0L in
  ignore (Mclock.elapsed_ns ());
  Lwt.cancel p;
  turn ()

let resolved () =
  Alcotest.(check string) "returned" "ok x" (await (promise (Lwt.return "x")));
  Alcotest.(check string) "raised" "raised Stdlib.Exit" (await (promise (Lwt.fail Exit)));
  Alcotest.(check string) "cancelled" "cancelled" (await (promise (Lwt.fail Lwt.Canceled)))

let pending () =
  let wait () = Time.ns (ms 1) >|= fun () -> Gc.compact () in
  let p v = promise (wait () >|= v) in
  Alcotest.(check string) "returned" "ok ab" (await (p (fun () -> "a" ^ "b")));
  Alcotest.(check string) "raised" "raised Stdlib.Exit" (await (p (fun () -> raise Exit)));
  let task, _ = Lwt.task () in
  let seen = promise task in
  turn ();
  Lwt.cancel task;
  Alcotest.(check string) "cancelled" "cancelled" (await seen)

let not_inside () =
  let p, u = Lwt.wait () in
  let seen = promise p in
  turn ();
  Lwt.wakeup u "x";
  Alcotest.(check bool) "not inside the wake-up" true (Lwt.is_sleeping seen);
  Alcotest.(check string) "from the loop" "ok x" (await seen)

let given_up () =
  let cancelled = ref 0 in
  let task () =
    let p, _ = Lwt.task () in
    Lwt.on_cancel p (fun () -> incr cancelled);
    p
  in
  Alcotest.(check (option string)) "waited" None (await (promise_timeout (task ()) (ms 2)));
  turn ();
  Alcotest.(check int) "cancelled" 1 !cancelled;
  Alcotest.(check (option string)) "never waited" None (await (promise_timeout (task ()) 0L));
  turn ();
  Alcotest.(check int) "cancelled" 2 !cancelled;
  (* Through both: a future that awaits a promise. *)
  let p = promise (task ()) in
  turn ();
  Lwt.cancel p;
  turn ();
  Alcotest.(check int) "cancelled" 3 !cancelled;
  let p = task () in
  await (promise_detach p);
  turn ();
  Alcotest.(check bool) "detached" true (Lwt.is_sleeping p);
  Alcotest.(check int) "not cancelled" 3 !cancelled;
  (* One that cannot be cancelled resolves when nobody waits any more. *)
  let p, u = Lwt.wait () in
  Alcotest.(check (option string)) "waited" None (await (promise_timeout p (ms 1)));
  turn ();
  Lwt.wakeup u "late"

let closures () =
  let f s =
    Time.ns 0L >|= fun () ->
    Gc.full_major ();
    s ^ "x"
  in
  Alcotest.(check string) "called" "xxx" (await (call_async f 3));
  Alcotest.(check string) "raises" "Stdlib.Exit" (await (call_async (fun _ -> raise Exit) 3));
  Alcotest.(check string) "rejects" "Stdlib.Exit" (await (call_async (fun _ -> Lwt.fail Exit) 3))

let unavailable () = Alcotest.(check bool) "in use" true (promise_blocked (Lwt.return "x"))

let live () =
  Gc.compact ();
  ((Gc.stat ()).live_words, (Stats.Memory.get ()).heap)

(* Both directions at a time. *)
let round_trips n =
  let rec go n = if n = 0 then Lwt.return_unit else future_isize n >>= fun _ -> go (n - 1) in
  Main.run (Lwt.join [ go n; test_await (fun i -> Lwt.pause () >|= fun () -> i) n ])

(* A heap that must not grow. *)
let leaks () =
  let round_trips () = round_trips (Often.times 50_000) in
  round_trips ();
  let words, heap = live () in
  for i = 1 to 10 do
    round_trips ();
    if i mod 5 = 0 then Gc.compact ()
  done;
  let words', heap' = live () in
  Alcotest.(check bool) "OCaml's heap" true (words' - words < 1000);
  Alcotest.(check bool) "Rust's heap" true (heap' - heap < 65536)

(* A promise is resolved, a task that awaits it goes on, and OCaml hears of it: one turn of the loop. *)
let answered_in_the_same_turn () =
  let question, ask = Lwt.wait () in
  let answer = promise question in
  let rec turns n = if n = 0 then Lwt.return_unit else Lwt.pause () >>= fun () -> turns (n - 1) in
  let polls () = (Stats.Poll.get ()).polls in
  let asked =
    turns 5 >|= fun () ->
    Lwt.wakeup_later ask "now";
    polls ()
  in
  let heard = answer >|= fun text -> (text, polls ()) in
  Main.run (Lwt.map ignore (Lwt.both asked heard));
  match (Lwt.state asked, Lwt.state heard) with
  | Return before, Return (text, after) ->
      Alcotest.(check string) "the answer" "ok now" text;
      Alcotest.(check int) "polls meanwhile" 0 (after - before)
  | _ -> Alcotest.fail "no answer"

let tests =
  [
    case "answered_in_the_same_turn" answered_in_the_same_turn;
    case "a_future_of_each_type" values;
    case "results_of_plain_functions" results;
    case "a_root_that_a_future_carries" roots;
    case "a_future_never_runs_inside_the_call" later;
    case "a_panic_rejects_the_promise" (quiet panics);
    case "cancelling_drops_the_future_from_the_loop" cancelled;
    case "a_promise_that_is_settled" resolved;
    case "a_promise_that_is_settled_later" pending;
    case "a_settled_promise_is_delivered_from_the_loop" not_inside;
    case "dropping_cancels_the_promise" given_up;
    case "closures_that_promise" closures;
    case "no_promise_where_the_runtime_is_in_use" unavailable;
    case "a_million_round_trips_leave_nothing" leaks;
  ]
