open Mirust_wire

let rec copy_to b off = function
  | [] -> ()
  | piece :: rest ->
      Cstruct.blit piece 0 b off (Cstruct.length piece);
      copy_to b (off + Cstruct.length piece) rest

let linear ?(alloc = Cstruct.create_unsafe) (f : Device.frame) =
  match f.payload with
  | [] -> f.head
  | payload ->
      let b = alloc (Device.frame_length f) and head = Cstruct.length f.head in
      Cstruct.blit f.head 0 b 0 head;
      copy_to b head payload;
      b

let complete (f : Device.frame) b =
  if f.checksum_start > 0 then
    let field = f.checksum_start + f.checksum_offset in
    let sum = Checksum.bytes Checksum.zero (Cstruct.shift b f.checksum_start) in
    let v = Checksum.finish sum in
    (* Zero would mean "no checksum" in UDP, and is as good as its complement in TCP. *)
    Field.set_u16 b field (if v = 0 then 0xffff else v)

let start b = Cstruct.length b - Cstruct.length (Ethernet.payload b)

(* Where the TCP header starts, and the sum of the pseudo-header without the length. *)
let locate b =
  let eth = if Cstruct.length b < Ethernet.header_length then 0 else start b in
  match Ethernet.parse b with
  | Ok { proto = `IPv4; _ } -> (
      match Ipv4.parse (Cstruct.shift b eth) with
      | Ok ({ proto = 6; _ } as h) when not (Ipv4.is_fragment h) ->
          let pseudo = Checksum.pseudo_v4 ~src:h.src ~dst:h.dst ~proto:6 ~len:0 in
          Some (`V4, eth + Ipv4.header_length h, pseudo)
      | Ok _ | Error _ -> None)
  | Ok { proto = `IPv6; _ } -> (
      match Ipv6.parse (Cstruct.shift b eth) with
      | Ok { next_header = 6; src; dst; _ } ->
          Some (`V6, eth + Ipv6.header_length, Checksum.pseudo_v6 ~src ~dst ~proto:6 ~len:0)
      | Ok _ | Error _ -> None)
  | Ok { proto = `ARP; _ } | Error _ -> None

let only_last = Tcp.Flags.fin lor Tcp.Flags.psh

let one b ~version ~tcp ~header ~pseudo ~index ~off ~len ~last =
  let s = Cstruct.create_unsafe (header + len) in
  Cstruct.blit b 0 s 0 header;
  Cstruct.blit b (header + off) s header len;
  let ip = Ethernet.payload s in
  (match version with
  | `V4 ->
      Ipv4.set_total_length ip (Cstruct.length ip);
      Ipv4.set_id ip (Field.u16 ip 4 + index);
      Ipv4.set_checksum ip ~header_length:(tcp - start s)
  | `V6 -> Field.set_u16 ip 4 (Cstruct.length ip - Ipv6.header_length));
  let t = Cstruct.shift s tcp in
  Field.set_u32 t 4 (Tcp.get_seq t + off);
  let flags = Tcp.get_flags t in
  let flags = if last then flags else flags land lnot only_last in
  (* CWR belongs to the first segment alone (RFC 3168 section 6.1.2). *)
  Field.set_u8 t 13 (if index = 0 then flags else flags land lnot Tcp.Flags.cwr);
  Tcp.set_checksum t 0;
  Tcp.set_checksum t (Checksum.finish (Checksum.bytes (Checksum.word pseudo (Cstruct.length t)) t));
  s

let segment ~gso_size b =
  match locate b with
  | None -> [ b ]
  | Some (version, tcp, pseudo) -> (
      match Tcp.parse (Cstruct.shift b tcp) with
      | Error _ -> [ b ]
      | Ok h ->
          let header = tcp + h.header_length in
          let total = Cstruct.length b - header in
          if gso_size <= 0 || total <= 0 then [ b ]
          else
            List.init
              ((total + gso_size - 1) / gso_size)
              (fun index ->
                let off = index * gso_size in
                let len = min gso_size (total - off) in
                one b ~version ~tcp ~header ~pseudo ~index ~off ~len ~last:(off + len = total)))

let complete_received b =
  let at = if Cstruct.length b < Ethernet.header_length then 0 else start b in
  let transport proto off len pseudo =
    let field = match proto with 6 -> Tcp.checksum_offset | 17 -> 6 | _ -> -1 in
    if field >= 0 && len >= field + 2 then (
      let t = Cstruct.sub b off len in
      Field.set_u16 t field 0;
      let v = Checksum.finish (Checksum.bytes (pseudo ~proto ~len) t) in
      Field.set_u16 t field (if v = 0 then 0xffff else v))
  in
  match Ethernet.parse b with
  | Ok { proto = `IPv4; _ } -> (
      match Ipv4.parse (Cstruct.shift b at) with
      | Ok h when not (Ipv4.is_fragment h) ->
          transport h.proto
            (at + Ipv4.header_length h)
            h.payload_length
            (Checksum.pseudo_v4 ~src:h.src ~dst:h.dst)
      | Ok _ | Error _ -> ())
  | Ok { proto = `IPv6; _ } -> (
      match Ipv6.parse (Cstruct.shift b at) with
      | Ok h ->
          transport h.next_header (at + Ipv6.header_length) h.payload_length
            (Checksum.pseudo_v6 ~src:h.src ~dst:h.dst)
      | Error _ -> ())
  | Ok { proto = `ARP; _ } | Error _ -> ()
