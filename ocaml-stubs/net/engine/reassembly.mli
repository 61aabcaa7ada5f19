(** Putting fragments of IP packets together again, within fixed bounds.

    ['key] tells the packets apart: addresses, protocol and identification. Bytes are copied out of
    the fragments, so that a device's buffers are not held. A fragment that overlaps others with
    anything but an exact repetition, or that contradicts what is known of the length, drops the
    whole packet (RFC 5722 for IPv6; for IPv4 the same, since no honest sender does it). *)

type 'key t

type config = {
  memory : int;  (** bytes of buffers for all packets together *)
  packets : int;  (** being put together at one time; the oldest goes first *)
  fragments : int;  (** per packet *)
  timeout : int;  (** ns from a packet's first fragment *)
}

(** 1 MiB, 256 packets, 128 fragments, 30 s. *)
val default : config

val create : config -> 'key t

type outcome =
  | Pending
  | Complete of Cstruct.t  (** the whole content *)
  | Dropped of [ `Overlap | `Inconsistent | `Limit ]

(** [add t ~now key ~offset ~more data]: [offset] in bytes, a multiple of 8; [data] a multiple of 8
    bytes if [more]; together at most 65535: the parsers see to that, and what is not so is
    [Dropped `Inconsistent]. *)
val add : 'key t -> now:int -> 'key -> offset:int -> more:bool -> Cstruct.t -> outcome

val next : 'key t -> int option

(** Drops what has timed out. *)
val tick : 'key t -> now:int -> unit

(** Bytes in use; never above the bound. *)
val memory : 'key t -> int
