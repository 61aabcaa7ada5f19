(* The loop: OCaml's promises, Rust's tasks, and who wakes whom. *)

open Lwt.Infix
open Mirust

external complete_after : (int[@untagged]) -> (int64[@unboxed]) -> unit
  = "mirust_native_only" "mirust_export_test_complete_after"

external call_from_task : (int -> unit) -> unit = "mirust_export_test_call_from_task"

external call_after : (int64[@unboxed]) -> (int -> unit) -> unit
  = "mirust_native_only" "mirust_export_test_call_after"

external panic_in_task : (int[@untagged]) -> unit
  = "mirust_native_only" "mirust_export_test_panic_in_task"

external ticks : (int[@untagged]) -> (int64[@unboxed]) -> (int[@untagged]) -> unit
  = "mirust_native_only" "mirust_export_test_ticks"

let ms n = Int64.mul (Int64.of_int n) 1_000_000L

let sleeps () =
  let start = Mclock.elapsed_ns () in
  Main.run (Time.ns (ms 5));
  Alcotest.(check bool) "not early" true (Int64.sub (Mclock.elapsed_ns ()) start >= ms 5)

let order () =
  let trace = ref [] in
  let at d name = Time.ns (ms d) >|= fun () -> trace := name :: !trace in
  let late = at 60 "d" in
  let middle = at 30 "b" in
  let early = at 10 "a" in
  let c = at 45 "c" in
  Main.run (Lwt.join [ late; middle; early; c ]);
  Alcotest.(check (list string)) "order" [ "a"; "b"; "c"; "d" ] (List.rev !trace)

(* What a promise becomes. *)
let value p =
  let result = ref None in
  Main.run (p >|= fun v -> result := Some v);
  Option.get !result

let timeouts () =
  let run d work = value (Time.with_timeout (ms d) (fun () -> Time.ns (ms work))) in
  Alcotest.(check bool) "in time" true (run 100 1 = Ok ());
  Alcotest.(check bool) "too late" true (run 1 100 = Error `Timeout)

(* What has come at once, or in time, leaves no sleeper of its own; what cannot be cancelled is not waited for. *)
let timeouts_of_all_kinds () =
  let forever () = fst (Lwt.wait ()) and failing () = Lwt.pause () >>= fun () -> Lwt.fail Exit in
  let caught = Alcotest.check_raises "what fails" Exit in
  let at_once = Time.with_timeout (ms 1) (fun () -> Lwt.return 1) in
  Alcotest.(check bool) "at once" true (Lwt.state at_once = Lwt.Return (Ok 1));
  caught (fun () -> ignore (value (Time.with_timeout (ms 1000) failing)));
  Alcotest.(check bool)
    "not to be cancelled" true
    (value (Time.with_timeout (ms 1) forever) = Error `Timeout);
  let work, _ = Lwt.task () in
  let limited = Time.with_timeout (ms 1) (fun () -> work) in
  Lwt.cancel limited;
  Alcotest.(check bool) "the work is cancelled with it" true (Lwt.state work = Lwt.Fail Lwt.Canceled);
  Alcotest.(check bool) "and it too" true (Lwt.state limited = Lwt.Fail Lwt.Canceled);
  let late, _ = Lwt.task () in
  Alcotest.(check bool)
    "cancelled by being late" true
    (value (Time.with_timeout (ms 1) (fun () -> late)) = Error `Timeout
    && Lwt.state late = Lwt.Fail Lwt.Canceled);
  (* One after another, and they share what wakes them: a short one after long ones is not late. *)
  let rec many n =
    if n = 0 then Time.with_timeout (ms 2) forever
    else Time.with_timeout (ms 60_000) Lwt.pause >>= fun _ -> many (n - 1)
  in
  Alcotest.(check bool) "a short one after long ones" true (value (many 100) = Error `Timeout)

let deadlines () =
  let start = Mclock.elapsed_ns () in
  let since () = Int64.sub (Mclock.elapsed_ns ()) start in
  let passed = ref [] in
  let ended, finish = Lwt.wait () in
  let deadline name f =
    Time.Deadline.create (fun () ->
        passed := (name, since ()) :: !passed;
        f ())
  in
  let moved = deadline "moved" (Lwt.wakeup_later finish) in
  let cleared = deadline "cleared" ignore in
  let nearer = deadline "nearer" ignore in
  let rec again = lazy (deadline "again" second)
  and second () = if List.length !passed < 3 then Time.Deadline.set (Lazy.force again) 0L in
  List.iter (fun d -> Time.Deadline.set d (ms 5)) [ moved; cleared; Lazy.force again ];
  Time.Deadline.set nearer (ms 60_000);
  Time.Deadline.set nearer (ms 1);
  Time.Deadline.clear cleared;
  (* Before it has passed and after its sleeper has been told of an earlier time. *)
  Time.Deadline.set moved (ms 15);
  Main.run ended;
  let names = List.rev_map fst !passed in
  Alcotest.(check (list string)) "once for each set" [ "nearer"; "again"; "again"; "moved" ] names;
  Alcotest.(check bool) "not early" true (List.assoc "moved" !passed >= ms 15)

let deadlines_cost_no_sleepers () =
  let d = Time.Deadline.create ignore in
  Time.Deadline.set d (ms 60_000);
  ignore (Time.new_sleepers () : Time.t list);
  let before = Gc.minor_words () in
  for _ = 1 to 1000 do
    Time.Deadline.set d (ms 60_000)
  done;
  let words = Gc.minor_words () -. before in
  Alcotest.(check int) "sleepers" 0 (List.length (Time.new_sleepers ()));
  Alcotest.(check bool) "words" true (words < 20_000.);
  Time.Deadline.clear d;
  Main.run (Lwt.pause ())

let cancel () =
  let p = Time.ns (ms 60_000) in
  Lwt.async (fun () -> Lwt.pause () >|= fun () -> Lwt.cancel p);
  match Main.run p with () -> Alcotest.fail "it slept" | exception Lwt.Canceled -> ()

let pauses () =
  let rec spin n = if n = 0 then Lwt.return_unit else Lwt.pause () >>= fun () -> spin (n - 1) in
  let before = Stats.Poll.get () in
  Main.run (spin 100);
  let after = Stats.Poll.get () in
  Alcotest.(check bool) "polls each turn" true (after.polls - before.polls >= 90);
  Alcotest.(check int) "never blocks" before.blocks after.blocks

let soon () =
  let trace = ref [] and awaited, waker = Lwt.wait () in
  let log name = trace := name :: !trace in
  let rec next n () =
    log (string_of_int n);
    if n < 3 then Main.soon (next (n + 1)) else Lwt.wakeup_later waker ()
  in
  let hook = !Lwt.async_exception_hook in
  (Lwt.async_exception_hook := fun e -> log (Printexc.to_string e));
  Main.soon (fun () -> raise Exit);
  Main.soon (next 1);
  Alcotest.(check (list string)) "not at once" [] !trace;
  let before = Stats.Poll.get () in
  Fun.protect ~finally:(fun () -> Lwt.async_exception_hook := hook) (fun () -> Main.run awaited);
  let after = Stats.Poll.get () in
  Alcotest.(check (list string)) "in order" [ "Stdlib.Exit"; "1"; "2"; "3" ] (List.rev !trace);
  Alcotest.(check bool) "a turn for each" true (after.polls - before.polls >= 2);
  Alcotest.(check int) "never blocks" before.blocks after.blocks

let completions () =
  let token, promise = Completion.create () in
  complete_after token (ms 3);
  Main.run promise

let both () =
  (* Rust ticks while OCaml sleeps, and the other way round, on one poll. *)
  let token, rust_done = Completion.create () in
  ticks 10 (ms 1) token;
  let rec ocaml n = if n = 0 then Lwt.return_unit else Time.ns (ms 1) >>= fun () -> ocaml (n - 1) in
  let before = Stats.Poll.get () in
  Main.run (Lwt.join [ rust_done; ocaml 10 ]);
  let after = Stats.Poll.get () in
  Alcotest.(check bool) "Rust's timers" true (after.timers_fired - before.timers_fired >= 10);
  Alcotest.(check bool) "slept in between" true (after.blocks > before.blocks);
  Alcotest.(check int) "one completion" 1 (after.completions - before.completions)

let closure_from_task () =
  let codes = ref [] in
  call_from_task (fun code ->
      codes := code :: !codes;
      Gc.compact ());
  Main.run (Time.ns (ms 1));
  Alcotest.(check (list int)) "called" [ 1 ] !codes;
  let codes = ref [] in
  call_from_task (fun code ->
      codes := code :: !codes;
      if code = 1 then failwith "no");
  Main.run (Time.ns (ms 1));
  Alcotest.(check (list int)) "raised" [ 2; 1 ] !codes

(* A poll has slept for most of it. *)
let time_in_task () =
  let called, call = Lwt.wait () in
  let start = Int64.to_int (Mclock.elapsed_ns ()) in
  call_after (ms 20) (fun _ -> Lwt.wakeup_later call (Exchange.now ()));
  let late = value called - start in
  if late < 20_000_000 then Alcotest.failf "%d ns after the beginning" late

(* Who computes after it was woken is not to have what it sends dated back. *)
let time_after_users () =
  let ran = ref 0 and dated = ref 0 in
  let compute () =
    Lwt.pause () >|= fun () ->
    let start = Int64.to_int (Mclock.elapsed_ns ()) in
    while Int64.to_int (Mclock.elapsed_ns ()) < start + 2_000_000 do
      ()
    done;
    ran := start + 2_000_000;
    Main.soon (fun () -> dated := Exchange.now ())
  in
  Main.run (compute () >>= Lwt.pause);
  Alcotest.(check bool) "now" true (!ran > 0 && !dated >= !ran)

(* This many tasks, of which all after [quick] take 0.1 ms at least, and how many have run. *)
let tasks_ran = ref 0

let many_tasks ?(quick = max_int) n =
  let spin () =
    let end_ = Int64.add (Mclock.elapsed_ns ()) 100_000L in
    while Mclock.elapsed_ns () < end_ do
      ()
    done
  in
  tasks_ran := 0;
  for _ = 1 to n do
    call_from_task (fun _ ->
        incr tasks_ran;
        if !tasks_ran > quick then spin ())
  done

let rec until_all n =
  if !tasks_ran < n then (
    Main.run (Time.ns (ms 1));
    until_all n)

(* Seventeen tasks have had their turn when all others are given theirs; of these, 256 take no time, and when 64 more
   have been run there is none left. On a busy machine there may be none before. *)
let many_tasks_have_one_budget () =
  many_tasks ~quick:(17 + 256) 600;
  let told = ref [] in
  Exchange.ask ();
  Alcotest.(check bool) "ran" true (Exchange.run ~interlude:(fun () -> told := !tasks_ran :: !told));
  Alcotest.(check (list int)) "interludes" [ 17; 1 ] !told;
  if !tasks_ran < 17 + 128 || !tasks_ran > 17 + 256 + 64 then
    Alcotest.failf "%d in one turn" !tasks_ran;
  until_all 600

let few_tasks_have_no_interlude () =
  let interludes n =
    many_tasks n;
    let told = ref [] in
    Exchange.ask ();
    ignore (Exchange.run ~interlude:(fun () -> told := !tasks_ran :: !told) : bool);
    Alcotest.(check int) "all in one turn" n !tasks_ran;
    !told
  in
  Alcotest.(check (list int)) "three" [] (interludes 3);
  Alcotest.(check (list int)) "four" [ 1 ] (interludes 4);
  Alcotest.(check (list int)) "64" [ 1 ] (interludes 64);
  Alcotest.(check (list int)) "65" [ 17; 1 ] (interludes 65)

let the_loop_tells_of_interludes () =
  let told = ref [] in
  let no_more = Main.at_interlude (fun () -> told := !tasks_ran :: !told) in
  let run () =
    many_tasks 70;
    Exchange.ask ();
    until_all 70
  in
  run ();
  Alcotest.(check (list int)) "interludes" [ 17; 1 ] !told;
  no_more ();
  run ();
  Alcotest.(check (list int)) "none is told of after that" [ 17; 1 ] !told

let task_panics () =
  let token, promise = Completion.create () in
  Test_failures.silently (fun () ->
      panic_in_task token;
      Main.run promise)

let hooks () =
  let enter = ref 0 and leave = ref 0 in
  Main.at_enter_iter (fun () -> incr enter);
  Main.at_leave_iter (fun () -> incr leave);
  Main.run (Lwt.pause ());
  Alcotest.(check bool) "each turn" true (!enter > 0 && !enter = !leave)

let woken_in_leave_hook () =
  let promise, resolver = Lwt.wait () in
  let first = ref true in
  Main.at_leave_iter (fun () ->
      if !first then (
        first := false;
        Lwt.async (fun () -> Lwt.pause () >|= Lwt.wakeup_later resolver)));
  Main.run promise

let exits () =
  let trace = ref [] in
  let hook name () = Time.ns 1L >|= fun () -> trace := name :: !trace in
  Main.at_exit (hook "first");
  Main.at_exit (fun () -> Lwt.fail_with "a hook that fails, as the test wants");
  Main.at_exit (hook "last");
  Test_failures.silently (fun () -> Main.run Lwt.return_unit);
  Alcotest.(check (list string)) "order" [ "first"; "last" ] !trace;
  Main.run Lwt.return_unit;
  Alcotest.(check int) "once" 2 (List.length !trace)

let nested () =
  let attempt () =
    match Main.run Lwt.return_unit with () -> false | exception Invalid_argument _ -> true
  in
  let refused = ref false in
  Main.run (Lwt.pause () >|= fun () -> refused := attempt ());
  Alcotest.(check bool) "refused" true !refused

let nested_in_task () =
  let refused = ref false in
  call_from_task (fun _ ->
      match Main.run (Lwt.pause ()) with
      | () -> ()
      | exception Invalid_argument _ -> refused := true);
  let rec wait () = if !refused then Lwt.return_unit else Time.ns (ms 1) >>= wait in
  Main.run (wait ())

let raises () =
  let ran = ref false in
  Main.at_exit (fun () ->
      ran := true;
      Lwt.return_unit);
  (match Main.run (Lwt.pause () >>= fun () -> Lwt.fail Exit) with
  | () -> Alcotest.fail "no exception"
  | exception Exit -> ());
  Alcotest.(check bool) "hooks ran" true !ran;
  Main.run (Time.ns 1L)

(* Lwt is left in the middle of its callbacks, as when memory runs out in Lwt itself. *)
let memory_runs_out_in_lwt () =
  let promise, resolver = Lwt.wait () in
  Lwt.on_success promise (fun () -> raise Out_of_memory);
  let hook = !Lwt.async_exception_hook in
  Lwt.async_exception_hook := raise;
  (match Lwt.wakeup resolver () with () -> () | exception Out_of_memory -> ());
  Lwt.async_exception_hook := hook;
  Alcotest.(check bool) "nobody is woken" false (Mirust__Wakeups.work ());
  Main.run (Time.ns (ms 1));
  Alcotest.(check bool) "somebody is" true (Mirust__Wakeups.work ())

let case name f = Alcotest.test_case name `Quick f

let tests =
  [
    case "sleeps_at_least_as_long_as_told" sleeps;
    case "sleepers_wake_in_order" order;
    case "timeouts" timeouts;
    case "timeouts_of_all_kinds" timeouts_of_all_kinds;
    case "deadlines_pass_once_when_they_were_last_set_for" deadlines;
    case "a_deadline_that_moves_makes_no_sleeper" deadlines_cost_no_sleepers;
    case "a_sleep_can_be_cancelled" cancel;
    case "paused_promises_keep_it_from_blocking" pauses;
    case "what_is_soon_runs_in_the_next_turn" soon;
    case "a_task_completes_a_promise" completions;
    case "timers_of_both_languages_on_one_poll" both;
    case "a_task_calls_a_closure" closure_from_task;
    case "what_a_task_calls_knows_the_time" time_in_task;
    case "after_a_users_code_it_is_later" time_after_users;
    case "many_tasks_have_one_budget" many_tasks_have_one_budget;
    case "few_tasks_have_no_interlude" few_tasks_have_no_interlude;
    case "the_loop_tells_of_interludes" the_loop_tells_of_interludes;
    case "a_task_that_panics_ends_alone" task_panics;
    case "hooks_run_each_turn" hooks;
    case "memory_runs_out_in_lwt" memory_runs_out_in_lwt;
    case "a_promise_woken_by_a_leave_hook_is_not_missed" woken_in_leave_hook;
    case "exit_hooks_run_once_last_first" exits;
    case "run_inside_run_is_refused" nested;
    case "run_inside_a_task_is_refused" nested_in_task;
    case "an_exception_comes_out_after_the_hooks" raises;
  ]
