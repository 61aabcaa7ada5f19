(** The link below IP: Ethernet, through one of our devices or any Mirage Ethernet layer. *)

open Mirust_netif
module W = Mirust_wire

type outcome = [ `Sent | `Full | `Too_long | `Disconnected ]

type t = {
  mac : Macaddr.t;
  mtu : unit -> int;  (** bytes after the Ethernet header *)
  features : unit -> Device.features;
  header : int;  (** bytes of the link's own header at the beginning of what [reserve] gives *)
  reserve : int -> Cstruct.t;
      (** [reserve n]: [header + n] bytes with any content, for [send]; none if the device is full
          or gone. As with {!Mirust_netif.Device.t}, nothing else is done with the link before
          [send] *)
  send :
    Macaddr.t ->
    W.Ethernet.proto ->
    Cstruct.t ->
    Cstruct.t list ->
    checksum_start:int ->
    checksum_offset:int ->
    gso_size:int ->
    outcome;
      (** A frame of what was reserved, all behind the link's header written by the caller, and of
          the payload. [checksum_start] counts from the end of the link's header; 0: the checksum is
          in place. What could not be reserved is [`Full] or [`Disconnected] *)
  write :
    Macaddr.t -> W.Ethernet.proto -> size:int -> (Cstruct.t -> int) -> (unit, string) result Lwt.t;
      (** The same without offloads, waiting while the device is full. The function gets a buffer of
          zeroes and returns how much of it it used; it is called at most once, perhaps later *)
  on_room : (unit -> unit) -> unit;
  join : Macaddr.t -> unit;  (** a multicast group; see {!Mirust_netif.Device.t} *)
  leave : Macaddr.t -> unit;
  flush : unit -> unit;
}

(** Sends a frame of the [size] bytes that the function writes into a buffer with arbitrary
    contents. It is not called if there is no room. *)
val send_filled : t -> Macaddr.t -> W.Ethernet.proto -> size:int -> (Cstruct.t -> unit) -> outcome

val of_netif : Netif.t -> t

(** Frames count as sent once the layer below has been asked to send them, as its back-pressure
    cannot be observed without waiting. *)
val of_ethernet : (module Mirust_mirage_types.Ethernet.S with type t = 'e) -> 'e -> t
