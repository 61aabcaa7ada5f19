(** The network devices of the domain: a paravirtual interface ([vif]) on Xen, a TAP interface on
    Linux.

    A device is driven by {!Mirust.Main}'s loop. At the start of a turn the frames that have arrived
    are delivered as one list; at its end everything that was sent goes out, and room is made for
    more. A large frame is a view of the very pages that the backend has filled; they are reused
    when the collector has found that the frame is unreachable. If many are held, minor collections
    are forced, and beyond a limit frames are copied, so that frames held for long cost memory but
    never the connection.

    When the backend goes away (a hot unplug, a restarted driver domain) the device stays. Sending
    then returns [`Full]; when the link is up again, the function given to [on_room] is called, and
    MTU and features may have changed. *)

(** The memory that a device may use. *)
type limits = {
  receive_pages : int;
      (** pages of 4096 bytes into which the backend of a Xen device writes frames; 0 leaves the
          number to the device *)
  send_pages : int;  (** for the headers of frames being sent, likewise *)
  copied : int;
      (** bytes that copied frames may occupy, as long as any part of them is referenced. When they
          are used up, and neither {!Mirust_netif.Device.t.on_pressure} nor a collection has helped,
          frames are dropped *)
}

(** 0 pages, 32 MiB copied. *)
val default_limits : limits

(** [connect name] is the device, once its link is up for the first time. The name is the number of
    the interface on Xen (["0"]), or the name of a TAP interface on Linux (["tap0"]), optionally
    followed by [@] and the MAC address of this end, which is random by default.

    [timeout] bounds the wait, in nanoseconds; without it, the wait lasts until the interface is
    attached. *)
val connect :
  ?limits:limits ->
  ?timeout:int64 ->
  string ->
  (Mirust_netif.Device.t, [ `Msg of string ]) result Lwt.t

(** [set_copied device bytes] changes {!limits.copied}. Devices that are not of this module have no
    such bound. *)
val set_copied : Mirust_netif.Device.t -> int -> unit

(** {1 Counters} *)

(** Frames and bytes are those of Ethernet; a large segment is one frame. *)
type counters = {
  rx_frames : int;
  rx_bytes : int;
  rx_gso : int;  (** of the frames, large segments *)
  rx_copied : int;  (** bytes *)
  rx_dropped : int;  (** malformed, or failed at the backend *)
  tx_frames : int;
  tx_bytes : int;
  tx_gso : int;
  tx_copied : int;  (** bytes of payload *)
  tx_dropped : int;  (** not sent by the backend, or in flight when it went away *)
  tx_full : int;  (** times a sender was refused for want of room *)
  notifications : int;  (** sent; one hypercall each *)
  events : int;  (** notifications received *)
  syscalls : int;  (** on Linux *)
  grants : int;  (** pages granted to the backend *)
  grant_ends : int;
  lies : int;  (** protocol violations by the peer *)
  links : int;  (** times that the link came up *)
}

type stats = {
  device : counters;
  rx_no_memory : int;
      (** frames dropped because copied ones occupied all the memory allowed for them *)
}

(** [None] if the device is not one of this module, or was closed. *)
val stats : Mirust_netif.Device.t -> stats option

(** On one line. *)
val pp_stats : stats Fmt.t

(** {1 Checksums} *)

(** The one's complement sum of the 16-bit words of [b] (RFC 1071), folded to 16 bits and not
    complemented; an odd last byte is padded with a zero byte. Once this library is linked,
    {!Mirust_wire.Checksum} uses this function for all but small buffers. *)
val checksum : Cstruct.t -> int
