(** The one address of an interface: its routes, and ARP's answers for it. *)

(** Replaces what was there. With [claim], for an address that another station may be using, the
    link is asked ([Arp_core.claim_ip]). *)
val use :
  ?claim:bool ->
  Ipv4_core.t ->
  Arp_core.t ->
  cidr:Ipaddr.V4.Prefix.t ->
  ?gateway:Ipaddr.V4.t ->
  unit ->
  unit Lwt.t

(** Removes the address. *)
val drop : Ipv4_core.t -> Arp_core.t -> unit Lwt.t
