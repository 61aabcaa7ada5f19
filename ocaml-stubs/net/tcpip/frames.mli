(** Frames from the device, on their way to the layers of one stack. *)

(** [receive ~mac ~arp ~v4 packet] takes a frame: [packet] gets it if it carries a packet of IP for
    the station [mac], with the byte at which that begins; [arp] what is ARP's. Other frames are
    dropped, and so is a packet for one host in a frame for many. Apply it to these arguments once,
    and the result to each frame. *)
val receive :
  mac:Macaddr.t ->
  arp:Arp_core.t ->
  v4:Ipv4_core.t ->
  (at:int -> Mirust_wire.Packet.t -> unit) ->
  Mirust_wire.Packet.t ->
  unit
