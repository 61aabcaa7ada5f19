external block_domain : int64 -> unit = "mirage_xen_evtchn_block_domain" [@@noalloc]
external demux_pending : unit -> bool = "mirage_xen_evtchn_demux_pending" [@@noalloc]
external now : unit -> int64 = "caml_get_monotonic_time"

let sleepers : Mirage_sleep.t list ref = ref []

let wake_due () =
  let alive = List.filter (fun (s : Mirage_sleep.t) -> not s.canceled) !sleepers in
  let due, later = List.partition (fun (s : Mirage_sleep.t) -> s.time <= now ()) alive in
  sleepers := later;
  List.iter (fun (s : Mirage_sleep.t) -> Lwt.wakeup s.thread ()) due

let deadline () =
  sleepers := Mirage_sleep.new_sleepers () @ !sleepers;
  if Lwt.paused_count () > 0 then 0L
  else
    let day = Int64.add (now ()) 86_400_000_000_000L in
    List.fold_left (fun t (s : Mirage_sleep.t) -> min t s.time) day !sleepers

let rec run t =
  Lwt.wakeup_paused ();
  wake_due ();
  match Lwt.poll t with
  | Some () -> ()
  | None ->
      (if demux_pending () then (
         Mirage_runtime.run_enter_iter_hooks ();
         Eventchn.run ();
         Mirage_runtime.run_leave_iter_hooks ())
       else block_domain (deadline ()));
      run t

let () = at_exit (fun () -> run (Mirage_runtime.run_exit_hooks ()))
