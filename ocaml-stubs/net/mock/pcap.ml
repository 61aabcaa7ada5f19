open Mirust_netif

type t = { write : string -> unit; snaplen : int }

let le32 b off v = Bytes.set_int32_le b off (Int32.of_int v)

let create ?(snaplen = 65535 + Mirust_wire.Ethernet.header_length) write =
  let b = Bytes.create 24 in
  le32 b 0 0xa1b23c4d;
  Bytes.set_uint16_le b 4 2;
  Bytes.set_uint16_le b 6 4;
  le32 b 8 0;
  le32 b 12 0;
  le32 b 16 snaplen;
  (* LINKTYPE_ETHERNET *)
  le32 b 20 1;
  write (Bytes.unsafe_to_string b);
  { write; snaplen }

let record t ~now fragments =
  let whole = Cstruct.lenv fragments in
  let kept = min whole t.snaplen in
  let b = Bytes.create 16 in
  le32 b 0 (now / 1_000_000_000);
  le32 b 4 (now mod 1_000_000_000);
  le32 b 8 kept;
  le32 b 12 whole;
  t.write (Bytes.unsafe_to_string b);
  t.write (String.sub (Cstruct.copyv fragments) 0 kept)

let tap t (d : Device.t) =
  let record fragments = record t ~now:(Mirust_net_env.Env.now ()) fragments in
  let send (f : Device.frame) =
    (* Before sending: an answer may arrive while the device is still inside [send]. *)
    record (f.head :: f.payload);
    d.send f
  in
  let on_receive receiver =
    d.on_receive (fun packets ->
        List.iter (fun (p : Mirust_wire.Packet.t) -> record [ p.data ]) packets;
        receiver packets)
  in
  { d with send; on_receive }
