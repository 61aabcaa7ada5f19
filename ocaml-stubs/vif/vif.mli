(** The network devices of the domain: a paravirtual interface ([vif]) on Xen, a TAP interface on
    Linux.

    A device works by the turn of {!Mirust.Main}'s loop. At the start of a turn the frames that have
    arrived are handed over as one list; at its end everything that was sent goes out, and room is
    made for more. A large frame is a view of the very pages that the other end has filled: they go
    back when the collector has found that nobody uses the frame any more. If many are held, small
    collections are run, and beyond a limit frames are copied, so that frames held for long cost
    memory but never the connection.

    When the backend goes away (a hot unplug, a driver domain that is restarted) the device stays.
    What is sent meanwhile is [`Full]; when the link is up again the function given to [on_room] is
    called, and MTU and features may have changed. *)

(** The memory that a device may take. *)
type limits = {
  receive_pages : int;
      (** pages of 4096 bytes that the other end of a Xen device writes frames to; 0 leaves it to
          the device *)
  send_pages : int;  (** for the heads of frames that are sent, likewise *)
  copied : int;
      (** bytes that copied frames may hold, as long as anybody has a part of one. When they are
          used up, and {!Mirust_netif.Device.t.on_pressure} and a collection have not helped, frames
          are dropped *)
}

(** 0 pages, 32 MiB copied. *)
val default_limits : limits

(** [connect name] is the device once its link is up for the first time. The name is the number of
    the interface on Xen (["0"]), and that of a TAP interface on Linux (["tap0"]), which may be
    followed by [@] and the address of this end; else that is made up.

    [timeout] bounds the wait, in nanoseconds; without one it may last until somebody attaches the
    interface. *)
val connect :
  ?limits:limits ->
  ?timeout:int64 ->
  string ->
  (Mirust_netif.Device.t, [ `Msg of string ]) result Lwt.t

(** {1 What devices count} *)

(** Frames and bytes are those of Ethernet; a large segment is one frame. *)
type counters = {
  rx_frames : int;
  rx_bytes : int;
  rx_gso : int;  (** of the frames, large segments *)
  rx_copied : int;  (** bytes *)
  rx_dropped : int;  (** malformed, or failed at the other end *)
  tx_frames : int;
  tx_bytes : int;
  tx_gso : int;
  tx_copied : int;  (** bytes of payload *)
  tx_dropped : int;  (** not sent by the other end, or under way when it went away *)
  tx_full : int;  (** times a sender was turned away *)
  notifications : int;  (** sent; one hypercall each *)
  events : int;  (** notifications received *)
  syscalls : int;  (** on Linux *)
  grants : int;  (** pages that the other end was granted access to *)
  grant_ends : int;
  lies : int;  (** protocol violations by the peer *)
  links : int;  (** times that the link came up *)
}

type stats = {
  device : counters;
  rx_no_memory : int;  (** frames dropped because copied ones held all the memory that they may *)
}

(** [None] if the device is not one of this module. *)
val stats : Mirust_netif.Device.t -> stats option

val pp_stats : stats Fmt.t

(** {1 Checksums} *)

(** The one's complement sum of the 16-bit words of [b] (RFC 1071), folded to 16 bits and not
    complemented; an odd last byte counts as a word with a zero byte behind it. Once this library is
    linked, {!Mirust_wire.Checksum} uses it for all buffers that are not small. *)
val checksum : Cstruct.t -> int
