open Mirust_net_engine
open Mirust_net_env
module W = Mirust_wire

let src = Logs.Src.create "mirust.dhcp" ~doc:"DHCP client"

module Log = (val Logs.src_log src : Logs.LOG)

type t = {
  engine : Dhcp_engine.t;
  send : src:Ipaddr.V4.t -> dst:Ipaddr.V4.t -> Cstruct.t -> unit;
  configure : Dhcp_engine.lease option -> unit;
  timer : Timer.t Lazy.t;
  changed : unit Lwt_condition.t;
  complaints : Thin.t;
  mutable taken : (Ipaddr.V4.t * int) option; (* the address in use, and since when *)
}

let complain t text = Thin.warn t.complaints (module Log) text

let perform t (action : Dhcp_engine.action) =
  match action with
  | Broadcast message ->
      Log.debug (fun m -> m "%a" W.Dhcpv4.pp message);
      (* From 0.0.0.0, unless the message says that the address is in use. *)
      t.send ~src:message.client ~dst:Ipaddr.V4.broadcast (W.Dhcpv4.emit message)
  | Unicast { server; message } ->
      Log.debug (fun m -> m "to %a: %a" Ipaddr.V4.pp server W.Dhcpv4.pp message);
      t.send ~src:message.client ~dst:server (W.Dhcpv4.emit message)
  | Configure lease ->
      Log.info (fun m -> m "lease: %a" Dhcp_engine.pp_lease lease);
      let address = Ipaddr.V4.Prefix.address lease.address in
      (match t.taken with
      | Some (known, _) when Ipaddr.V4.compare known address = 0 -> ()
      | Some _ | None -> t.taken <- Some (address, Env.now ()));
      t.configure (Some lease);
      Lwt_condition.broadcast t.changed ()
  | Deconfigure ->
      Log.info (fun m -> m "the lease has ended");
      t.taken <- None;
      t.configure None
  | Unusable { server; why } ->
      complain t (fun () ->
          Fmt.str "an offer%a is of no use: %s" Fmt.(option (any " of " ++ Ipaddr.V4.pp)) server why)
  | Silence seconds ->
      complain t (fun () -> Fmt.str "no DHCP server has answered for %d s; asking on" seconds)

let perform_all t actions =
  let set_timer () = Timer.set (Lazy.force t.timer) (Dhcp_engine.next t.engine) in
  Env.each_then (perform t) actions set_timer

(* Another station uses an address, perhaps ours. Soon after we took it, that is an answer to our probe. An address that
   we have had for a while is not given up: connections use it, and anybody can forge such a frame. *)
let conflict t address mac =
  match t.taken with
  | Some (ours, since)
    when Ipaddr.V4.compare ours address = 0 && Env.now () - since < Arp_engine.answered_within ->
      complain t (fun () ->
          Fmt.str "%a, which the server has leased, is in use by %a: asking for another"
            Ipaddr.V4.pp address Macaddr.pp mac);
      perform_all t (Dhcp_engine.declined t.engine ~now:(Env.now ()))
  | Some _ | None -> ()

let create ?host_name ?wanted ~mac ~arp ~send configure =
  let engine = Dhcp_engine.create ?host_name ?wanted ~random:Env.random_int mac in
  let rec t =
    {
      engine;
      send;
      configure;
      timer =
        lazy (Timer.create (fun () -> perform_all t (Dhcp_engine.tick engine ~now:(Env.now ()))));
      changed = Lwt_condition.create ();
      complaints = Thin.create ();
      taken = None;
    }
  in
  Arp_core.on_conflict arp (conflict t);
  t

let start t = perform_all t (Dhcp_engine.start t.engine ~now:(Env.now ()))

let input t b =
  match W.Dhcpv4.parse b with
  | Ok message ->
      Log.debug (fun m -> m "received %a" W.Dhcpv4.pp message);
      perform_all t (Dhcp_engine.input t.engine ~now:(Env.now ()) message)
  | Error (Bad_option _ as e) ->
      complain t (fun () -> Fmt.str "a message is of no use: %a" W.Dhcpv4.pp_error e)
  | Error ((Truncated | Not_dhcp) as e) -> Log.debug (fun m -> m "dropped: %a" W.Dhcpv4.pp_error e)

let link_changed t = perform_all t (Dhcp_engine.link_changed t.engine ~now:(Env.now ()))
let lease t = Dhcp_engine.lease t.engine

let rec bound t =
  match lease t with
  | Some lease -> Lwt.return lease
  | None -> Lwt.bind (Lwt_condition.wait t.changed) (fun () -> bound t)

let stop t =
  perform_all t (Dhcp_engine.stop t.engine ~now:(Env.now ()));
  Timer.stop (Lazy.force t.timer)
