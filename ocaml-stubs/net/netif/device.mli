(** A network device: what a driver offers and what the stack asks of it.

    A driver (Xen netfront, a TAP device, the in-memory network) fills in a {!t}. Everything is
    synchronous; there is one user of a device, the stack, and one domain poll that drives both.

    {b Sending.} {!t.reserve} gives a buffer that the device can send from, {!t.send} hands it over
    with any further payload. Between the two nothing else is done with the device. Frames may stay
    with the device until {!t.flush}, which the stack calls once at the end of every turn, so that a
    batch of frames costs one notification.

    {b Receiving.} The device hands over every frame that has arrived since the last turn, as one
    list. The receiver may send, and what it sends may arrive at another port of an in-memory
    network, and be answered, before [send] returns. *)

type features = {
  checksum : bool;  (** fills in TCP and UDP checksums of frames sent *)
  tso4 : bool;  (** cuts large TCP segments over IPv4; implies [checksum] *)
  tso6 : bool;
  max_gso : int;  (** bytes of the largest IP packet handed over for cutting, at most 65535 *)
}

val no_features : features

type frame = {
  head : Cstruct.t;
      (** the start of the frame, from the Ethernet header on: a prefix of a buffer from [reserve]
      *)
  payload : Cstruct.t list;
      (** the rest. Never changed after [send]: the device may copy, or keep and send from them *)
  checksum_start : int;
      (** 0: the checksum is in place. Else the byte of the frame where the transport header starts,
          and the device computes the checksum from there to the end; the field holds the folded sum
          of the pseudo-header *)
  checksum_offset : int;  (** of the field, from [checksum_start] *)
  gso_size : int;  (** 0: one frame. Else payload bytes per TCP segment to cut *)
}

(** Bytes of head and payload together. *)
val frame_length : frame -> int

(** Frames and their bytes, since the beginning or since they were set back. Mirage's record of them
    has boxed numbers, of which a frame would leave two behind. *)
type counters = {
  mutable rx_frames : int;
  mutable rx_bytes : int;
  mutable tx_frames : int;
  mutable tx_bytes : int;
}

val no_counters : unit -> counters

(** One frame of so many bytes was received. *)
val count_rx : counters -> int -> unit

val count_tx : counters -> int -> unit

type outcome =
  [ `Sent  (** taken; not yet on the wire *)
  | `Full  (** no room now; the function given to [on_room] is called when there is *)
  | `Invalid_length  (** longer than the device can send, or empty *)
  | `Disconnected ]

type t = {
  name : string;
  mac : Macaddr.t;
  mtu : unit -> int;  (** bytes after the Ethernet header; may change when the device reconnects *)
  features : unit -> features;  (** may change when the device reconnects *)
  reserve : int -> Cstruct.t;
      (** [reserve n]: a buffer of exactly [n] bytes with any content, or one of no bytes when the
          device is full, which counts as [`Full], or gone. Reserving again takes the buffer back *)
  send : frame -> outcome;
  flush : unit -> unit;
  on_receive : (Mirust_wire.Packet.t list -> unit) -> unit;
      (** sets the receiver; before the first call frames are dropped. A frame's buffer is the
          receiver's for as long as it is referenced *)
  on_room : (unit -> unit) -> unit;
      (** sets the function called, once per transition, when a full device has room again *)
  on_link : (unit -> unit) -> unit;
      (** sets the function called when the link is up again after it was down *)
  on_pressure : ((Cstruct.buffer -> bool) -> unit) -> unit;
      (** sets the function called when frames that are still referenced keep the device from
          receiving more: whoever holds a part of one copies it, and lets go. It is given a test
          whether a buffer is one that the device needs *)
  on_disconnect : (unit -> unit) -> unit;
      (** sets the function called when the device is gone for good *)
  join : Macaddr.t -> unit;
      (** lets frames to a multicast group through. From the first call on, a device that can filter
          lets others not through: whoever uses groups joins them *)
  leave : Macaddr.t -> unit;
  disconnect : unit -> unit;  (** no frame is received or sent after it; twice is once *)
  counters : counters;
}
