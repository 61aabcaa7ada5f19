open Mirust_netif
module W = Mirust_wire

type outcome = [ `Sent | `Full | `Too_long | `Disconnected ]

type t = {
  mac : Macaddr.t;
  mtu : unit -> int;
  features : unit -> Device.features;
  send :
    Macaddr.t ->
    W.Ethernet.proto ->
    size:int ->
    (Cstruct.t -> unit) ->
    Cstruct.t list ->
    checksum_start:int ->
    checksum_offset:int ->
    gso_size:int ->
    outcome;
  write :
    Macaddr.t -> W.Ethernet.proto -> size:int -> (Cstruct.t -> int) -> (unit, string) result Lwt.t;
  on_room : (unit -> unit) -> unit;
  join : Macaddr.t -> unit;
  leave : Macaddr.t -> unit;
  flush : unit -> unit;
}

let eth = W.Ethernet.header_length

let of_netif netif =
  let device = Netif.device netif in
  let mac = device.mac in
  let send destination proto ~size fill payload ~checksum_start ~checksum_offset ~gso_size =
    let head = Netif.reserve netif (eth + size) in
    if Cstruct.length head = 0 then
      if Lwt.is_sleeping (Netif.disconnected netif) then `Full else `Disconnected
    else (
      W.Ethernet.emit { source = mac; destination; proto } head;
      fill (Cstruct.shift head eth);
      let checksum_start = if checksum_start > 0 then eth + checksum_start else 0 in
      match Netif.send netif { head; payload; checksum_start; checksum_offset; gso_size } with
      | `Sent -> `Sent
      | `Full -> `Full
      | `Disconnected -> `Disconnected
      | `Invalid_length -> `Too_long)
  in
  let write destination proto ~size fill =
    let fill b =
      W.Ethernet.emit { source = mac; destination; proto } b;
      eth + fill (Cstruct.shift b eth)
    in
    Lwt.map
      (Result.map_error (Fmt.to_to_string Netif.pp_error))
      (Netif.write netif ~size:(eth + size) fill)
  in
  {
    mac;
    mtu = device.mtu;
    features = device.features;
    send;
    write;
    on_room = Netif.on_room netif;
    join = device.join;
    leave = device.leave;
    flush = device.flush;
  }

let of_ethernet (type e) (module E : Mirust_mirage_types.Ethernet.S with type t = e) (e : e) =
  let write dst proto ~size fill =
    Lwt.map (Result.map_error (Fmt.to_to_string E.pp_error)) (E.write e dst proto ~size fill)
  in
  let send dst proto ~size fill payload ~checksum_start:_ ~checksum_offset:_ ~gso_size:_ =
    let size = size + Cstruct.lenv payload in
    if size > E.mtu e then `Too_long
    else
      let head = size - Cstruct.lenv payload in
      let fill b =
        fill (Cstruct.sub b 0 head);
        ignore (Cstruct.fillv ~src:payload ~dst:(Cstruct.shift b head));
        size
      in
      Lwt.dont_wait (fun () -> Lwt.map ignore (write dst proto ~size fill)) ignore;
      `Sent
  in
  {
    mac = E.mac e;
    mtu = (fun () -> E.mtu e);
    features = (fun () -> Device.no_features);
    send;
    write;
    on_room = ignore;
    join = ignore;
    leave = ignore;
    flush = ignore;
  }
