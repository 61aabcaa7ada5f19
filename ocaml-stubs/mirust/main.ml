open Lwt.Infix

(* Every program with a loop gets the reporters of errors, and can await Rust's futures. *)
let () =
  Fatal.install ();
  Log.install ();
  Future.install ()

type shutdown = [ `Poweroff | `Reboot | `Halt ]

let pp_shutdown ppf s =
  Format.pp_print_string ppf
    (match s with `Poweroff -> "poweroff" | `Reboot -> "reboot" | `Halt -> "halt")

let never = Int64.max_int
let sleepers = Sleepers.create ()
let exit_hooks = ref []
let enter_hooks = ref []
let leave_hooks = ref []
let interludes = ref []
let at_exit f = exit_hooks := f :: !exit_hooks
let at_enter_iter f = enter_hooks := f :: !enter_hooks
let at_leave_iter f = leave_hooks := f :: !leave_hooks

let at_interlude f =
  (* A hook that is removed while the hooks run is not called any more either. *)
  let hook = ref f in
  interludes := hook :: !interludes;
  fun () ->
    hook := ignore;
    interludes := List.filter (fun other -> other != hook) !interludes

(* Hooks belong to the network: running out of memory in one of them costs what it was doing, not the program. *)
let lwt_is_suspect = ref false

let attempt f =
  match f () with
  | () -> true
  | exception Out_of_memory ->
      lwt_is_suspect := true;
      Fatal.note_shortage ();
      false

let run_hook f = ignore (attempt f : bool)

(* Memory may also run out where Lwt or the program catches the exception, of which we learn nothing. So this is called
   now and then, and always before waking a promise that nothing else would wake. *)
let often = 64
let turns = ref 0
let repaired = ref (-1)

let repair () =
  if !repaired <> !turns then (
    repaired := !turns;
    run_hook Wakeups.repair)

let run_hooks = function [] -> () | hooks -> List.iter run_hook (List.rev hooks)

(* The shutdown request *)

let shutdown_reason () =
  match Abi.shutdown_reason () with
  | 1 -> Some `Poweroff
  | 2 -> Some `Reboot
  | 3 -> Some `Halt
  | _ -> None

let awaited = ref false
let shutdown_waiters = Lwt_condition.create ()

let shutdown_requested () =
  awaited := true;
  match shutdown_reason () with
  | Some reason -> Lwt.return reason
  | None -> Lwt_condition.wait shutdown_waiters

(* Ends the running main promise, if nothing else handles the request. *)
let stop = ref ignore

let tell_shutdown () =
  if !awaited || Abi.shutdown_awaited () = 1 then
    Option.iter (Lwt_condition.broadcast shutdown_waiters) (shutdown_reason ())
  else !stop ()

(* A turn *)

let rec drain_completions () =
  let token = Abi.completion_next () in
  if token <> Header.completion_none then (
    if token >= 0 then Completion.complete token
    else Future.complete (Header.completion_future - token);
    drain_completions ())

(* Set while a sleeper is being woken: if memory runs out there, it may have been woken or not. *)
let in_doubt = ref false

let wake thread =
  let doubt = !in_doubt in
  in_doubt := true;
  (match Lwt.wakeup_later thread () with () -> () | exception Invalid_argument _ when doubt -> ());
  in_doubt := false

(* A sleeper is removed only after it has been woken, because nothing else would ever wake it. *)
let rec wake_due ~now =
  match Sleepers.first_due sleepers ~now with
  | None -> ()
  | Some { Time.thread; _ } ->
      repair ();
      wake thread;
      Sleepers.drop_first sleepers;
      wake_due ~now

let add_sleeper = Sleepers.add sleepers
let collect_sleepers () = Time.take_new_sleepers add_sleeper

(* Functions to call in the next turn; what they add in turn is for the one after. *)
let next_turn = Queue.create ()
let soon f = Queue.push f next_turn

let run_next_turn () =
  for _ = 1 to Queue.length next_turn do
    try run_hook (Queue.pop next_turn) with e -> !Lwt.async_exception_hook e
  done

let wake_sleepers () =
  collect_sleepers ();
  if Sleepers.length sleepers > 0 then wake_due ~now:(Int64.of_int (Exchange.now ()))

let collect_completions () = if Exchange.completions () then run_hook drain_completions
let interlude () = List.iter (fun hook -> run_hook !hook) (List.rev !interludes)

(* Runs the Rust tasks that OCaml has woken, so that their answers leave in the same turn. *)
let exchange () =
  if Exchange.run ~interlude then (
    collect_completions ();
    run_next_turn ())

let step () =
  incr turns;
  if !lwt_is_suspect || !turns land (often - 1) = 0 then (
    lwt_is_suspect := false;
    repair ());
  run_hooks !enter_hooks;
  let users = Exchange.completions () || Lwt.paused_count () > 0 in
  collect_completions ();
  run_hook Lwt.wakeup_paused;
  (* The program may have computed for long. *)
  if users then Exchange.forget ();
  run_next_turn ();
  run_hook wake_sleepers;
  exchange ();
  run_hooks !leave_hooks;
  (* Whatever ran above may have slept and paused again. *)
  run_hook collect_sleepers;
  if Lwt.paused_count () > 0 || not (Queue.is_empty next_turn) then 0L
  else Option.value (Sleepers.next sleepers) ~default:never

(* The loop *)

let running = ref false

let rec turn_until promise =
  let deadline = step () in
  (* No poll follows that would do this. *)
  if not (Lwt.is_sleeping promise) then Exchange.finish ();
  match Lwt.poll promise with
  | Some v -> v
  | None ->
      let ready = Abi.poll deadline in
      if ready land Header.ready_nested <> 0 then
        invalid_arg "Mirust.Main.run: called from a Rust task";
      if ready land Header.ready_shutdown <> 0 then tell_shutdown ();
      turn_until promise

let drive promise = match Lwt.poll promise with Some v -> v | None -> turn_until promise

let call_exit_hooks () =
  let rec next () =
    match !exit_hooks with
    | [] -> Lwt.return_unit
    | hook :: rest ->
        exit_hooks := rest;
        Lwt.catch hook (fun exn ->
            Logs.err (fun m -> m "in an exit hook: %s" (Printexc.to_string exn));
            Lwt.return_unit)
        >>= next
  in
  next ()

let with_exit_hooks main = Lwt.finalize (fun () -> main) call_exit_hooks

let run main =
  if !running then invalid_arg "Mirust.Main.run: the loop is already running";
  List.iter (fun f -> f ()) !Setup.at_start;
  if Abi.rust_main () = 1 then
    (* Unlike in background work, running out of memory in main ends the program, as when OCaml owns the loop. *)
    let report = Fatal.report "uncaught OCaml exception" in
    Lwt.dont_wait
      (fun () -> with_exit_hooks main)
      (fun exn -> report exn (Printexc.get_raw_backtrace ()))
  else
    let stopped, stopper = Lwt.task () in
    (stop := fun () -> if Lwt.is_sleeping stopped then Lwt.wakeup_later stopper ());
    let main = with_exit_hooks (Lwt.pick [ main; stopped ]) in
    running := true;
    Fun.protect ~finally:(fun () -> running := false) (fun () -> drive main)

(* The turn in which [exit] was called never ends, so that one within it disturbs nobody. *)
let run_exit_hooks () =
  Lwt.abandon_wakeups ();
  drive (call_exit_hooks ())

(* For a loop of OCaml's that is not this one. *)
module Guest = struct
  let turn ~stop:f =
    running := true;
    stop := f;
    let ready = Abi.poll 0L in
    if ready land Header.ready_nested <> 0 then
      invalid_arg "Mirust.Main.Guest.turn: called from a Rust task";
    if ready land Header.ready_shutdown <> 0 then tell_shutdown ();
    step ()

  let exit_hooks = call_exit_hooks
end

(* For Rust's loop, which passes what its poll reported. *)
let () =
  Callback.register "mirust_step" (fun ready ->
      if ready land Header.ready_shutdown <> 0 then tell_shutdown ();
      let deadline = step () in
      if Int64.compare deadline (Int64.of_int max_int) > 0 then max_int else Int64.to_int deadline)
