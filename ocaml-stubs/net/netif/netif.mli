(** {!Mirust_netif.Device.t} as a Mirage network device. *)

include Mirust_mirage_types.Mirage_net.S

(** One [t] per device: it sets the device's functions for room and disconnection. *)
val connect : Device.t -> t

(** {1 Beyond Mirage's interface} *)

val device : t -> Device.t

(** Receives frames in batches, with the state of their checksums. Replaces {!listen}. *)
val listen_packets : t -> (Mirust_wire.Packet.t list -> unit) -> unit

(** {!Mirust_netif.Device.t.reserve}; if that returns an empty buffer, the device counts as full. *)
val reserve : t -> int -> Cstruct.t

(** {!Mirust_netif.Device.t.send}, of a frame whose head was reserved from the device. *)
val send : t -> Device.frame -> Device.outcome

(** Adds a function that is called when a device that was full has room again. *)
val on_room : t -> (unit -> unit) -> unit

(** Resolved when the device is not full; at once if it is not. *)
val room : t -> unit Lwt.t

(** Sets the function called when the link is up again after it was down. *)
val on_link : t -> (unit -> unit) -> unit

(** Resolved when the device is gone. *)
val disconnected : t -> unit Lwt.t
