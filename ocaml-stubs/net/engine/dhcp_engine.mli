(** The DHCP client's state machine (RFC 2131 section 4.4). Times are in ns. *)

open Mirust_wire

type t

type lease = {
  address : Ipaddr.V4.Prefix.t;  (** with the prefix on the link *)
  routers : Ipaddr.V4.t list;  (** those that can be one *)
  dns : Ipaddr.V4.t list;
  domain : string option;
  mtu : int option;
  server : Ipaddr.V4.t;
  until : int;  (** [max_int]: for ever *)
  options : (int * string) list;  (** what the server has said, by {!Mirust_wire.Dhcpv4.options} *)
}

val pp_lease : lease Fmt.t

type action =
  | Broadcast of Dhcpv4.t
      (** from the client port to the server port; from [0.0.0.0] without a lease *)
  | Unicast of { server : Ipaddr.V4.t; message : Dhcpv4.t }
  | Configure of lease  (** a new lease, or a renewed one whose values may have changed *)
  | Deconfigure  (** the address may no longer be used *)
  | Unusable of { server : Ipaddr.V4.t option; why : string }  (** an unusable offer *)
  | Silence of int  (** no server has answered for this many seconds; the client keeps asking *)

type state =
  | Init  (** waiting before the next attempt *)
  | Selecting
  | Requesting
  | Rebooting  (** asking whether the address is still right after the link was away *)
  | Bound
  | Renewing
  | Rebinding
  | Stopped

val pp_state : state Fmt.t

(** [random n] is between 0 and [n - 1]. [wanted] are numbers of options that the server is asked
    for, besides those that the client understands. *)
val create : ?host_name:string -> ?wanted:int list -> random:(int -> int) -> Macaddr.t -> t

val start : t -> now:int -> action list
val input : t -> now:int -> Dhcpv4.t -> action list

(** The link has come back, perhaps somewhere else (INIT-REBOOT, RFC 2131 section 3.2). If no server
    confirms the address or refuses it, any is asked for another, and the old one is kept until
    then. *)
val link_changed : t -> now:int -> action list

(** The address turned out to be in use by another station. Another is asked for after ten seconds,
    and after twice as long for each time in a row, up to 640: until a lease has lasted for half of
    its time, or the link changes. *)
val declined : t -> now:int -> action list

(** Gives the lease back. *)
val stop : t -> now:int -> action list

val next : t -> int option
val tick : t -> now:int -> action list
val state : t -> state
val lease : t -> lease option
