(** Performs the actions of {!Mirust_net_engine.Dhcp_engine}: datagrams and timers. *)

open Mirust_net_engine

type t

(** [send] sends a datagram from port 68 to port 67. The last argument is called with every new or
    renewed lease, and when it ends. It must {!Ipv4_address.use} an address with [claim], with the
    same [arp]: if another station answers for a new address, the lease is declined, and another one
    requested. [wanted]: see {!Mirust_net_engine.Dhcp_engine.create}. *)
val create :
  ?host_name:string ->
  ?wanted:int list ->
  mac:Macaddr.t ->
  arp:Arp_core.t ->
  send:(src:Ipaddr.V4.t -> dst:Ipaddr.V4.t -> Cstruct.t -> unit) ->
  (Dhcp_engine.lease option -> unit) ->
  t

(** Begins to look for a server. *)
val start : t -> unit

(** A datagram received on port 68. *)
val input : t -> Cstruct.t -> unit

(** The link has come back: see {!Mirust_net_engine.Dhcp_engine.link_changed}. *)
val link_changed : t -> unit

(** The current one. *)
val lease : t -> Dhcp_engine.lease option

(** Resolved as soon as there is a lease. *)
val bound : t -> Dhcp_engine.lease Lwt.t

(** Releases the lease. *)
val stop : t -> unit
