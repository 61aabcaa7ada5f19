(** Network devices, as Mirage's functors take them. *)

module Net : sig
  type error = [ `Invalid_length | `Disconnected ]

  val pp_error : error Fmt.t
end

(** Frames and bytes (Ethernet header included) since the start or the last reset. *)
type stats = Mirust_records.Net_stats.t = {
  mutable rx_bytes : int64;
  mutable rx_pkts : int32;
  mutable tx_bytes : int64;
  mutable tx_pkts : int32;
}

module type S = sig
  type error = private [> Net.error ]

  val pp_error : error Fmt.t

  type t

  (** Stops {!listen} and refuses further frames. *)
  val disconnect : t -> unit Lwt.t

  (** [write t ~size fill] sends one frame: [fill] is given a buffer of [size] bytes, Ethernet
      header included, and returns how many it used. [`Invalid_length] when [size] is more than the
      MTU and the Ethernet header, or [fill] claims more than [size]. *)
  val write : t -> size:int -> (Cstruct.t -> int) -> (unit, error) result Lwt.t

  (** Calls the function for each received frame, until {!disconnect}. An exception in it is logged
      and goes no further. *)
  val listen : t -> header_size:int -> (Cstruct.t -> unit Lwt.t) -> (unit, error) result Lwt.t

  (** The address of this end. *)
  val mac : t -> Macaddr.t

  (** Bytes, without the Ethernet header. *)
  val mtu : t -> int

  (** The numbers as they are now. *)
  val get_stats_counters : t -> stats

  (** Sets them to zero. *)
  val reset_stats_counters : t -> unit
end
