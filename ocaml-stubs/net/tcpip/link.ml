open Mirust_netif
module W = Mirust_wire

type outcome = [ `Sent | `Full | `Too_long | `Disconnected ]

type t = {
  mac : Macaddr.t;
  mtu : unit -> int;
  features : unit -> Device.features;
  header : int;
  reserve : int -> Cstruct.t;
  send :
    Macaddr.t ->
    W.Ethernet.proto ->
    Cstruct.t ->
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

let send_filled t destination proto ~size fill =
  let head = t.reserve size in
  if Cstruct.length head > 0 then fill (Cstruct.shift head t.header);
  t.send destination proto head [] ~checksum_start:0 ~checksum_offset:0 ~gso_size:0

let of_netif netif =
  let device = Netif.device netif in
  let mac = device.mac in
  let last = W.Ethernet.last ~source:mac in
  let reserve size = Netif.reserve netif (eth + size) in
  let send destination proto head payload ~checksum_start ~checksum_offset ~gso_size =
    if Cstruct.length head = 0 then
      if Lwt.is_sleeping (Netif.disconnected netif) then `Full else `Disconnected
    else (
      W.Ethernet.emit_like last ~destination proto head;
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
    header = eth;
    reserve;
    send;
    write;
    on_room = Netif.on_room netif;
    join = device.join;
    leave = device.leave;
    flush = device.flush;
  }

let rec blit_all b at = function
  | [] -> at
  | view :: rest ->
      let n = Cstruct.length view in
      Cstruct.blit view 0 b at n;
      blit_all b (at + n) rest

let of_ethernet (type e) (module E : Mirust_mirage_types.Ethernet.S with type t = e) (e : e) =
  let heads = Slab.create 16384 in
  let write dst proto ~size fill =
    Lwt.map (Result.map_error (Fmt.to_to_string E.pp_error)) (E.write e dst proto ~size fill)
  in
  (* Mirage's layers may call [fill] when they like: the head stays as it is until then. *)
  let send dst proto head payload ~checksum_start:_ ~checksum_offset:_ ~gso_size:_ =
    let length = Cstruct.length head in
    let size = length + Cstruct.lenv payload in
    if size > E.mtu e then `Too_long
    else
      let fill b =
        Cstruct.blit head 0 b 0 length;
        blit_all b length payload
      in
      (match E.write e dst proto ~size fill with
      | (_ : (unit, E.error) result Lwt.t) -> (* Nobody waits for what becomes of a frame. *) ()
      | exception e -> Lwt.dont_wait (fun () -> raise e) ignore);
      `Sent
  in
  {
    mac = E.mac e;
    mtu = (fun () -> E.mtu e);
    features = (fun () -> Device.no_features);
    header = 0;
    reserve = Slab.alloc heads;
    send;
    write;
    on_room = ignore;
    join = ignore;
    leave = ignore;
    flush = ignore;
  }
