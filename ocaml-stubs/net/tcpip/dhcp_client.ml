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
}

let own t =
  match Dhcp_engine.lease t.engine with
  | Some lease -> Ipaddr.V4.Prefix.address lease.address
  | None -> Ipaddr.V4.any

let perform t (action : Dhcp_engine.action) =
  match action with
  | Broadcast message ->
      Log.debug (fun m -> m "%a" W.Dhcpv4.pp message);
      t.send ~src:(own t) ~dst:Ipaddr.V4.broadcast (W.Dhcpv4.emit message)
  | Unicast { server; message } ->
      Log.debug (fun m -> m "to %a: %a" Ipaddr.V4.pp server W.Dhcpv4.pp message);
      t.send ~src:message.client ~dst:server (W.Dhcpv4.emit message)
  | Configure lease ->
      Log.info (fun m -> m "lease: %a" Dhcp_engine.pp_lease lease);
      t.configure (Some lease);
      Lwt_condition.broadcast t.changed ()
  | Deconfigure ->
      Log.info (fun m -> m "the lease has ended");
      t.configure None

let perform_all t actions =
  List.iter (perform t) actions;
  Timer.set (Lazy.force t.timer) (Dhcp_engine.next t.engine)

let create ?host_name ~mac ~send configure =
  let engine = Dhcp_engine.create ?host_name ~random:Env.random_int mac in
  let rec t =
    {
      engine;
      send;
      configure;
      timer =
        lazy (Timer.create (fun () -> perform_all t (Dhcp_engine.tick engine ~now:(Env.now ()))));
      changed = Lwt_condition.create ();
    }
  in
  t

let start t = perform_all t (Dhcp_engine.start t.engine ~now:(Env.now ()))

let input t b =
  match W.Dhcpv4.parse b with
  | Ok message ->
      Log.debug (fun m -> m "received %a" W.Dhcpv4.pp message);
      perform_all t (Dhcp_engine.input t.engine ~now:(Env.now ()) message)
  | Error e -> Log.debug (fun m -> m "dropped: %a" W.Dhcpv4.pp_error e)

let declined t = perform_all t (Dhcp_engine.declined t.engine ~now:(Env.now ()))
let lease t = Dhcp_engine.lease t.engine

let rec bound t =
  match lease t with
  | Some lease -> Lwt.return lease
  | None -> Lwt.bind (Lwt_condition.wait t.changed) (fun () -> bound t)

let stop t =
  perform_all t (Dhcp_engine.stop t.engine ~now:(Env.now ()));
  Timer.stop (Lazy.force t.timer)
