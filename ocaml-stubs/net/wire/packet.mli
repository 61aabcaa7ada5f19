(** What a device says about a received frame, and what a sender asks of it, in addition to the
    bytes.

    A large segment (GSO) is one TCP packet longer than the MTU: the sender lets the device cut it
    into segments, and a receiver may get several segments merged into one. *)

(** State of the transport (TCP or UDP) checksum. The IPv4 header's own is always in place. *)
type checksum =
  [ `Unknown  (** the field holds a checksum that nobody has verified *)
  | `Valid  (** the device has verified the transport checksum; the field may be stale *)
  | `Blank
    (** the sender left the field for hardware: it holds the folded sum of the pseudo-header, and
        the packet never crossed a wire that could damage it *) ]

type t = {
  data : Cstruct.t;  (** from the Ethernet header on *)
  checksum : checksum;
  gso_size : int;
      (** 0 for an ordinary frame; else the payload bytes of each TCP segment the frame stands for
      *)
}

(** An ordinary frame with an unverified checksum, unless told otherwise. *)
val v : ?checksum:checksum -> ?gso_size:int -> Cstruct.t -> t

val pp : t Fmt.t
