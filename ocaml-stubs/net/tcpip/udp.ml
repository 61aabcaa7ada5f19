open Mirust_net_env
module W = Mirust_wire

module type S = Mirust_mirage_types.Tcpip.Udp.S

let src = Logs.Src.create "mirust.udp" ~doc:"UDP"

module Log = (val Logs.src_log src : Logs.LOG)

(* RFC 6335's dynamic ports. *)
let first_ephemeral = 49152

(* Others provoke them. *)
let failures = Mirust_net_env.Thin.create ()

module Make (I : Mirust_mirage_types.Tcpip.Ip.S) = struct
  type ipaddr = I.ipaddr
  type error = [ `Invalid of string | `Ip of I.error ]

  let pp_error ppf = function `Invalid what -> Fmt.string ppf what | `Ip e -> I.pp_error ppf e

  type callback = src:ipaddr -> dst:ipaddr -> src_port:int -> Cstruct.t -> unit Lwt.t

  type counters = {
    mutable received : int;
    mutable malformed : int;
    mutable bad_checksum : int;
    mutable unlistened : int;
    mutable sent : int;
  }

  type listener = { peer : (ipaddr * int) option; callback : callback }

  type t = {
    ip : I.t;
    listeners : (int, listener) Hashtbl.t;
    mutable unlistened : src:ipaddr -> dst:ipaddr -> Cstruct.t -> unit;
    counters : counters;
  }

  let connect ip =
    Lwt.return
      {
        ip;
        listeners = Hashtbl.create 8;
        unlistened = (fun ~src:_ ~dst:_ _ -> ());
        counters = { received = 0; malformed = 0; bad_checksum = 0; unlistened = 0; sent = 0 };
      }

  let counters t = t.counters
  let on_unlistened t f = t.unlistened <- f

  let disconnect t =
    Hashtbl.reset t.listeners;
    Lwt.return_unit

  let is_port n = n >= 1 && n <= 0xffff

  let set_listener t ~port listener =
    if not (is_port port) then invalid_arg "Udp.listen: port";
    Hashtbl.replace t.listeners port listener

  let listen t ~port callback = set_listener t ~port { peer = None; callback }
  let listen_to t ~port ~peer callback = set_listener t ~port { peer = Some peer; callback }

  let takes listener ~src ~src_port =
    match listener.peer with
    | None -> true
    | Some (address, port) -> port = src_port && address = src

  let unlisten t ~port = Hashtbl.remove t.listeners port
  let is_free t ~port = not (Hashtbl.mem t.listeners port)

  let pseudo t ~src ~dst len =
    W.Checksum.bytes W.Checksum.zero (I.pseudoheader t.ip ~src dst `UDP len)

  (* The pseudo-header of IPv6 is 40 bytes; over IPv6 there must be a checksum (RFC 8200 section 8.1). *)
  let may_omit_checksum t ~src ~dst = Cstruct.length (I.pseudoheader t.ip ~src dst `UDP 0) < 40

  let verified t ~src ~dst (h : W.Udp.t) (p : W.Packet.t) =
    match p.checksum with
    | `Valid | `Blank -> true
    | `Unknown ->
        if h.checksum = 0 then may_omit_checksum t ~src ~dst
        else W.Udp.verify ~pseudo:(pseudo t ~src ~dst h.length) h p.data

  let receive t ~src ~dst (p : W.Packet.t) =
    let c = t.counters in
    c.received <- c.received + 1;
    match W.Udp.parse p.data with
    | Error e ->
        c.malformed <- c.malformed + 1;
        Log.debug (fun m -> m "dropped: %a" W.Udp.pp_error e);
        Lwt.return_unit
    | Ok h when not (verified t ~src ~dst h p) ->
        c.bad_checksum <- c.bad_checksum + 1;
        Lwt.return_unit
    | Ok h -> (
        match Hashtbl.find_opt t.listeners h.dst_port with
        | Some l when takes l ~src ~src_port:h.src_port ->
            l.callback ~src ~dst ~src_port:h.src_port (W.Udp.payload h p.data)
        | Some _ | None ->
            c.unlistened <- c.unlistened + 1;
            t.unlistened ~src ~dst p.data;
            Lwt.return_unit)

  let input t ~src ~dst b = receive t ~src ~dst (W.Packet.v b)

  let input_packet t ~src ~dst ~tos:_ p =
    Lwt.dont_wait
      (fun () -> receive t ~src ~dst p)
      (fun e ->
        Mirust_net_env.Thin.warn failures
          (module Log)
          (fun () -> "listener: " ^ Printexc.to_string e))

  (* Where nearly all are listened to, so many draws almost certainly find one that is not. *)
  let ephemeral t =
    let rec draw n =
      let port = first_ephemeral + Env.random_int (0x10000 - first_ephemeral) in
      if not (Hashtbl.mem t.listeners port) then Some port else if n = 0 then None else draw (n - 1)
    in
    draw 1000

  (* Nothing that does not fit its field is cut to it. *)
  let invalid ~src_port ~ttl ~dst_port payload =
    let port n = if is_port n then None else Some (Printf.sprintf "there is no port %d" n) in
    let first = List.find_map Fun.id in
    first
      [
        port dst_port;
        Option.bind src_port port;
        (match ttl with
        | Some n when n < 1 || n > 255 -> Some (Printf.sprintf "a time to live of %d" n)
        | Some _ | None -> None);
        (if Cstruct.length payload > 0xffff - W.Udp.header_length then
           Some "longer than a datagram can be"
         else None);
      ]

  let send ?src ~src_port ?ttl ~dst ~dst_port t payload =
    let src = match src with Some a -> a | None -> I.src t.ip ~dst in
    let fill b =
      let len = W.Udp.header_length + Cstruct.length payload in
      W.Udp.emit ~src_port ~dst_port ~pseudo:(pseudo t ~src ~dst len) ~payload:[ payload ] b;
      W.Udp.header_length
    in
    t.counters.sent <- t.counters.sent + 1;
    I.write t.ip ?ttl ~src dst `UDP ~size:W.Udp.header_length fill [ payload ]

  let write ?src ?src_port ?ttl ~dst ~dst_port t payload =
    match invalid ~src_port ~ttl ~dst_port payload with
    | Some what -> Lwt.return_error (`Invalid what)
    | None -> (
        match if Option.is_some src_port then src_port else ephemeral t with
        | None -> Lwt.return_error (`Invalid "no port is free")
        | Some src_port ->
            Lwt.map
              (Result.map_error (fun e -> `Ip e))
              (send ?src ~src_port ?ttl ~dst ~dst_port t payload))
end
