module W = Mirust_wire

module type S = Mirust_mirage_types.Ethernet.S

module Packet = struct
  type proto = [ `ARP | `IPv4 | `IPv6 ]

  let pp_proto ppf (p : proto) =
    Fmt.string ppf (match p with `ARP -> "ARP" | `IPv4 -> "IPv4" | `IPv6 -> "IPv6")

  type t = { source : Macaddr.t; destination : Macaddr.t; ethertype : proto }

  let sizeof_ethernet = W.Ethernet.header_length

  let of_cstruct frame =
    match W.Ethernet.parse frame with
    | Ok { source; destination; proto = ethertype } ->
        Ok ({ source; destination; ethertype }, W.Ethernet.payload frame)
    | Error e -> Error (Fmt.to_to_string W.Ethernet.pp_error e)

  let into_cstruct { source; destination; ethertype = proto } b =
    if Cstruct.length b < sizeof_ethernet then Error "no room for an Ethernet header"
    else Ok (W.Ethernet.emit { source; destination; proto } b)

  let make_cstruct { source; destination; ethertype = proto } =
    let b = Cstruct.create sizeof_ethernet in
    W.Ethernet.emit { source; destination; proto } b;
    b
end

module Make (N : Mirust_mirage_types.Mirage_net.S) = struct
  type error = [ `Exceeds_mtu | `Netif of N.error ]

  let pp_error ppf = function
    | `Exceeds_mtu -> Fmt.string ppf "frame exceeds the MTU"
    | `Netif e -> N.pp_error ppf e

  type t = {
    net : N.t;
    mac : Macaddr.t;
    station : int; (* [mac], as a number *)
    last : W.Ethernet.last;
  }

  let connect net =
    let mac = N.mac net in
    Lwt.return { net; mac; station = W.Field.mac_number mac; last = W.Ethernet.last ~source:mac }

  let disconnect _ = Lwt.return_unit
  let mac t = t.mac
  let mtu t = N.mtu t.net
  let sent = Lwt.return (Ok ())

  let write t ?(src = t.mac) destination proto ?size fill =
    let header = W.Ethernet.header_length in
    let size = match size with Some n -> n | None -> mtu t in
    if size > mtu t then Lwt.return_error `Exceeds_mtu
    else
      let fill b =
        if src == t.mac then W.Ethernet.emit_like t.last ~destination proto b
        else W.Ethernet.emit { source = src; destination; proto } b;
        header + fill (Cstruct.shift b header)
      in
      let written = N.write t.net ~size:(header + size) fill in
      match Lwt.state written with
      | Lwt.Return (Ok ()) -> sent
      | Lwt.Return (Error _) | Lwt.Sleep | Lwt.Fail _ ->
          Lwt.map (Result.map_error (fun e -> `Netif e)) written

  let input ~arpv4 ~ipv4 ~ipv6 t frame =
    (* Nearly all frames. *)
    if W.Ethernet.is_plain_ipv4 t.station frame then
      ipv4 (Cstruct.shift frame W.Ethernet.header_length)
    else
      match W.Ethernet.proto frame with
      | Some proto when W.Ethernet.is_for_station t.station frame -> (
          let payload = W.Ethernet.payload frame in
          match proto with `ARP -> arpv4 payload | `IPv4 -> ipv4 payload | `IPv6 -> ipv6 payload)
      | Some _ | None -> Lwt.return_unit
end
