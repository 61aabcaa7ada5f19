(** A network device: the interface between a driver and the stack.

    A driver (Xen netfront, a TAP device, the in-memory network) fills in a {!t}. Everything is
    synchronous; a device has one user, the stack, and one domain poll drives both.

    {b Sending.} {!t.reserve} returns a buffer that the device can send from, and {!t.send} passes
    it to the device with any further payload; nothing else may be done with the device in between.
    The device may keep frames until {!t.flush}, which the stack calls when it has sent everything,
    or until the turn ends, so that a batch of frames costs one notification.

    {b Receiving.} The device delivers all frames that have arrived since the last turn, as one
    list. The receiver may send; on an in-memory network, what it sends may arrive at another port,
    and be answered, before [send] returns. *)

type features = {
  checksum : bool;  (** fills in TCP and UDP checksums of frames sent *)
  tso4 : bool;  (** segments large TCP packets over IPv4; implies [checksum] *)
  tso6 : bool;
  max_gso : int;  (** bytes of the largest IP packet to be segmented, at most 65535 *)
}

(** Everything is done in software. *)
val no_features : features

type frame = {
  head : Cstruct.t;
      (** the start of the frame, beginning with the Ethernet header: a prefix of a buffer from
          [reserve] *)
  payload : Cstruct.t list;
      (** the rest. Must not change after [send]: the device may copy it, or keep it and send from
          it *)
  checksum_start : int;
      (** 0: the checksum is complete. Otherwise the offset in the frame at which the transport
          header starts: the device computes the checksum from there to the end, and the field holds
          the folded sum of the pseudo-header *)
  checksum_offset : int;  (** of the field, from [checksum_start] *)
  gso_size : int;  (** 0: one frame. Otherwise the payload bytes of each TCP segment to send *)
}

(** Bytes of head and payload together. *)
val frame_length : frame -> int

(** Frames and their bytes, since the start or the last reset. (Mirage's record has boxed numbers:
    each frame would allocate two of them.) *)
type counters = {
  mutable rx_frames : int;
  mutable rx_bytes : int;
  mutable tx_frames : int;
  mutable tx_bytes : int;
}

val no_counters : unit -> counters

(** Counts one received frame of this many bytes. *)
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
      (** [reserve n] is a buffer of exactly [n] bytes with arbitrary contents, or an empty one if
          the device is gone or full, which counts as [`Full]. Reserving again invalidates the
          buffer *)
  send : frame -> outcome;
  flush : unit -> unit;
  on_receive : (Mirust_wire.Packet.t list -> unit) -> unit;
      (** sets the receiver; before the first call frames are dropped. A frame's buffer belongs to
          the receiver for as long as it is referenced *)
  on_room : (unit -> unit) -> unit;
      (** sets the function called, once per transition, when a full device has room again *)
  on_link : (unit -> unit) -> unit;
      (** sets the function called when the link is up again after it was down *)
  on_pressure : ((Cstruct.buffer -> bool) -> unit) -> unit;
      (** sets the function called when frames that are still referenced keep the device from
          receiving more: code that holds part of one should copy and release it. It is given a
          predicate for the buffers that the device needs *)
  on_disconnect : (unit -> unit) -> unit;
      (** sets the function called when the device is gone for good *)
  join : Macaddr.t -> unit;
      (** accepts frames to a multicast group. From the first call on, a device that can filter
          drops frames to all other groups: every group in use must be joined *)
  leave : Macaddr.t -> unit;
  disconnect : unit -> unit;  (** no frame is received or sent afterwards; idempotent *)
  counters : counters;
}
