external nr_events : unit -> int = "mirage_xen_evtchn_get_nr_events" [@@noalloc]
external test_and_clear : int -> bool = "mirage_xen_evtchn_test_and_clear" [@@noalloc]
external alloc_unbound : int -> int -> int = "mirage_xen_evtchn_alloc_unbound"
external bind_interdomain : int -> int -> int -> int = "mirage_xen_evtchn_bind_interdomain"
external unmask : int -> int -> unit = "mirage_xen_evtchn_unmask"
external notify : int -> int -> unit = "mirage_xen_evtchn_notify" [@@noalloc]
external unbind : int -> int -> unit = "mirage_xen_evtchn_unbind"
external virq_dom_exc : unit -> int = "mirage_xen_evtchn_virq_dom_exc"
external bind_virq : int -> int -> int = "mirage_xen_evtchn_bind_virq"

(* Who waits for an event on each port, and how many there were. *)
let counts = Array.make (nr_events ()) 0
let news = Array.init (nr_events ()) (fun _ -> Lwt_condition.create ())

let rec after port seen =
  if counts.(port) <> seen then Lwt.return counts.(port)
  else Lwt.bind (Lwt_condition.wait news.(port)) (fun () -> after port seen)

let run () =
  for port = 0 to nr_events () - 1 do
    if test_and_clear port then (
      counts.(port) <- counts.(port) + 1;
      Lwt_condition.broadcast news.(port) ())
  done
