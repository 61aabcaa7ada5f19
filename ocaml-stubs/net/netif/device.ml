type features = { checksum : bool; tso4 : bool; tso6 : bool; max_gso : int }

let no_features = { checksum = false; tso4 = false; tso6 = false; max_gso = 0 }

type frame = {
  head : Cstruct.t;
  payload : Cstruct.t list;
  checksum_start : int;
  checksum_offset : int;
  gso_size : int;
}

let frame_length f = Cstruct.length f.head + Cstruct.lenv f.payload

type counters = {
  mutable rx_frames : int;
  mutable rx_bytes : int;
  mutable tx_frames : int;
  mutable tx_bytes : int;
}

let no_counters () = { rx_frames = 0; rx_bytes = 0; tx_frames = 0; tx_bytes = 0 }

let count_rx c n =
  c.rx_frames <- c.rx_frames + 1;
  c.rx_bytes <- c.rx_bytes + n

let count_tx c n =
  c.tx_frames <- c.tx_frames + 1;
  c.tx_bytes <- c.tx_bytes + n

type outcome = [ `Sent | `Full | `Invalid_length | `Disconnected ]

type t = {
  name : string;
  mac : Macaddr.t;
  mtu : unit -> int;
  features : unit -> features;
  reserve : int -> Cstruct.t;
  send : frame -> outcome;
  flush : unit -> unit;
  on_receive : (Mirust_wire.Packet.t list -> unit) -> unit;
  on_room : (unit -> unit) -> unit;
  on_link : (unit -> unit) -> unit;
  on_pressure : ((Cstruct.buffer -> bool) -> unit) -> unit;
  on_disconnect : (unit -> unit) -> unit;
  join : Macaddr.t -> unit;
  leave : Macaddr.t -> unit;
  disconnect : unit -> unit;
  counters : counters;
}
