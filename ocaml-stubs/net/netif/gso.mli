(** Segmentation and checksums in software, for a device or a peer that does not offload them. *)

(** The frame in one piece. Copies, into a buffer from [alloc], unless there is no payload apart
    from the head. *)
val linear : ?alloc:(int -> Cstruct.t) -> Device.frame -> Cstruct.t

(** [complete f b] fills in the checksum that [f] asks for, in [b], its linear copy. *)
val complete : Device.frame -> Cstruct.t -> unit

(** Cuts a large TCP segment (an Ethernet frame in one piece) into frames of at most [gso_size]
    bytes of payload, each with its own lengths, sequence number, flags, IPv4 id and checksums. A
    frame that is not TCP over IPv4 or IPv6 comes back as it was. *)
val segment : gso_size:int -> Cstruct.t -> Cstruct.t list

(** Fills in the TCP or UDP checksum of a received frame whose checksum is [`Blank]. Other frames,
    and malformed ones, stay as they are. *)
val complete_received : Cstruct.t -> unit
