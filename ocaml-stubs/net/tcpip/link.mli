(** The link below IP: Ethernet, by way of one of our devices or of any Mirage Ethernet layer. *)

open Mirust_netif
module W = Mirust_wire

type outcome = [ `Sent | `Full | `Too_long | `Disconnected ]

type t = {
  mac : Macaddr.t;
  mtu : unit -> int;  (** bytes after the Ethernet header *)
  features : unit -> Device.features;
  send :
    Macaddr.t ->
    W.Ethernet.proto ->
    size:int ->
    (Cstruct.t -> unit) ->
    Cstruct.t list ->
    checksum_start:int ->
    checksum_offset:int ->
    gso_size:int ->
    outcome;
      (** A frame of what the function writes into exactly [size] bytes (any content before), and
          the payload. [checksum_start] counts from the first of these bytes; 0: the checksum is in
          place *)
  write :
    Macaddr.t -> W.Ethernet.proto -> size:int -> (Cstruct.t -> int) -> (unit, string) result Lwt.t;
      (** The same without offloads, waiting while the device is full. The function gets a buffer of
          zeroes and returns how much of it it used; it is called at most once, perhaps later *)
  on_room : (unit -> unit) -> unit;
  join : Macaddr.t -> unit;  (** a multicast group; see {!Device.t} *)
  leave : Macaddr.t -> unit;
  flush : unit -> unit;
}

val of_netif : Netif.t -> t

(** Frames are taken as sent when the layer below has been asked to; it has no back-pressure that
    could be seen without waiting. *)
val of_ethernet : (module Mirust_mirage_types.Ethernet.S with type t = 'e) -> 'e -> t
