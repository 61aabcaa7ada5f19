open Mirust_net_engine
open Mirust_net_env
module W = Mirust_wire

let src = Logs.Src.create "mirust.arp" ~doc:"ARP"

module Log = (val Logs.src_log src : Logs.LOG)

type error = [ `Timeout ]

let pp_error ppf `Timeout = Fmt.string ppf "no ARP reply"

(* What waits for a neighbour is a resolver of a query. *)
type waiter = (Macaddr.t, [ `Timeout | `Overflow ]) result Lwt.u

type t = {
  link : Link.t;
  engine : waiter Arp_engine.t;
  timer : Timer.t Lazy.t;
  mutable conflict : (Ipaddr.V4.t -> Macaddr.t -> unit) list;
  complaints : Thin.t;
  frames : Bucket.t;
}

let transmit t destination packet =
  let outcome = Link.send_filled t.link destination `ARP ~size:W.Arp.length (W.Arp.emit packet) in
  t.link.flush ();
  match outcome with
  | `Sent -> ()
  | `Full | `Too_long | `Disconnected ->
      (* The engine asks again. *)
      Log.debug (fun m -> m "not sent: %a" W.Arp.pp packet)

let perform t (action : waiter Arp_engine.action) =
  match action with
  | Send { destination; packet } ->
      (* Others provoke most of them. *)
      if Bucket.take t.frames ~now:(Env.now ()) then transmit t destination packet
  | Transmit { packet; mac } -> Lwt.wakeup_later packet (Ok mac)
  | Unreachable { target; packets } ->
      Log.debug (fun m -> m "no reply from %a" Ipaddr.V4.pp target);
      Env.each (fun u -> Lwt.wakeup_later u (Error `Timeout)) packets
  | Overflow u -> Lwt.wakeup_later u (Error `Overflow)
  | Conflict { address; mac } ->
      Thin.warn t.complaints
        (module Log)
        (fun () -> Fmt.str "%a is also used by %a" Ipaddr.V4.pp address Macaddr.pp mac);
      List.iter (fun f -> f address mac) t.conflict

(* The engine's state is settled before the first action is performed: a frame sent here may be answered,
   and the answer come in, before the next one is. *)
let perform_all t actions =
  let set_timer () = Timer.set (Lazy.force t.timer) (Arp_engine.next t.engine) in
  Env.each_then (perform t) actions set_timer

let create ?config (link : Link.t) =
  let engine = Arp_engine.create ?config link.mac in
  let rec t =
    {
      link;
      engine;
      timer =
        lazy (Timer.create (fun () -> perform_all t (Arp_engine.tick engine ~now:(Env.now ()))));
      conflict = [];
      complaints = Thin.create ();
      frames = Bucket.create ~rate:1000 ~burst:1000;
    }
  in
  t

let disconnect t =
  Timer.stop (Lazy.force t.timer);
  Lwt.return_unit

let pp ppf t =
  let entry ppf (ip, state, mac) =
    Fmt.pf ppf "%a at %a (%a)" Ipaddr.V4.pp ip Macaddr.pp mac Neighbour.pp_state state
  in
  Fmt.(list ~sep:cut entry)
    ppf
    (Neighbour.entries (Arp_engine.neighbours t.engine) ~now:(Env.now ()))

let get_ips t = Arp_engine.addresses t.engine

let add_ip t ip =
  perform_all t (Arp_engine.add t.engine ~now:(Env.now ()) ip);
  Lwt.return_unit

let remove_ip t ip =
  Arp_engine.remove t.engine ip;
  Lwt.return_unit

let set_ips t ips =
  List.iter (Arp_engine.remove t.engine) (get_ips t);
  Lwt_list.iter_s (add_ip t) ips

let claim_ip t ip =
  List.iter (Arp_engine.remove t.engine) (get_ips t);
  perform_all t (Arp_engine.claim t.engine ~now:(Env.now ()) ip)

let announce_again t = perform_all t (Arp_engine.announce_again t.engine ~now:(Env.now ()))
let on_conflict t f = t.conflict <- t.conflict @ [ f ]

let input_packet t b =
  match W.Arp.parse b with
  | Ok packet -> perform_all t (Arp_engine.input t.engine ~now:(Env.now ()) packet)
  | Error e -> Log.debug (fun m -> m "dropped: %a" W.Arp.pp_error e)

let input t b =
  input_packet t b;
  Lwt.return_unit

let resolve t ip =
  let now = Env.now () in
  let entry = Neighbour.find (Arp_engine.neighbours t.engine) ip in
  if Neighbour.fresh entry ~now then Lwt.return_ok (Neighbour.mac entry)
  else
    let promise, resolver = Lwt.wait () in
    let actions = Arp_engine.send t.engine ~now ip resolver in
    match actions with
    | [ Transmit { mac; _ } ] ->
        (* Known but stale: it may be used, and is verified in the background. *)
        perform_all t [];
        Lwt.return_ok mac
    | actions ->
        perform_all t actions;
        promise

let query t ip = Lwt.map (Result.map_error (fun _ -> `Timeout)) (resolve t ip)

let hop t ip =
  let neighbours = Arp_engine.neighbours t.engine in
  let entry = ref (Neighbour.find neighbours ip) and answer = ref None in
  fun () ->
    if Neighbour.fresh !entry ~now:(Env.recent ()) then (
      let mac = Neighbour.mac !entry in
      (match !answer with
      | Some known when known == mac -> ()
      | Some _ | None -> answer := Some mac);
      !answer)
    else (
      entry := Neighbour.find neighbours ip;
      None)

let confirm t ip =
  let neighbours = Arp_engine.neighbours t.engine in
  Neighbour.confirm (Neighbour.find neighbours ip) neighbours ~now:(Env.now ())
