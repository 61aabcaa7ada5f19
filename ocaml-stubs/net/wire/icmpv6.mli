(** ICMPv6 (RFC 4443), neighbour discovery (RFC 4861) and multicast listener reports (RFC 3810). *)

(** Its number as a next header: 58. *)
val proto : int

type unreachable = No_route | Prohibited | Beyond_scope | Address | Port | Unreachable_code of int

(** A prefix advertised by a router (RFC 4861 section 4.6.2). Lifetimes are in seconds; 2{^ 32}-1 is
    for ever. *)
type prefix = {
  prefix : Ipaddr.V6.Prefix.t;
  on_link : bool;
  autonomous : bool;
  valid : int;
  preferred : int;
}

(** Options of neighbour discovery that mean something here; the first of each kind counts, except
    for prefixes and name servers, which add up. *)
type options = {
  source_link : Macaddr.t option;
  target_link : Macaddr.t option;
  mtu : int option;
  prefixes : prefix list;
  dns : (int * Ipaddr.V6.t list) list;  (** RFC 8106: lifetime in seconds, addresses *)
}

val no_options : options

type router_advertisement = {
  hop_limit : int;  (** 0: unspecified *)
  managed : bool;
  other : bool;
  lifetime : int;  (** seconds as a default router; 0: it is none *)
  reachable : int;  (** ms; 0: unspecified *)
  retransmit : int;  (** ms; 0: unspecified *)
  options : options;
}

(** What a station says of a group: that it listens to all senders, as the answer to a query, or
    that this has changed (RFC 3810 section 5.2.12). *)
type listener = Listening | Joining | Leaving

type t =
  | Unreachable of { reason : unreachable; quoted : Cstruct.t }
  | Packet_too_big of { mtu : int; quoted : Cstruct.t }
  | Time_exceeded of { reassembly : bool; quoted : Cstruct.t }
  | Parameter_problem of { code : int; pointer : int; quoted : Cstruct.t }
  | Echo_request of { id : int; seq : int; data : Cstruct.t }
  | Echo_reply of { id : int; seq : int; data : Cstruct.t }
  | Router_solicitation of options
  | Router_advertisement of router_advertisement
  | Neighbour_solicitation of { target : Ipaddr.V6.t; options : options }
  | Neighbour_advertisement of {
      router : bool;
      solicited : bool;
      override : bool;
      target : Ipaddr.V6.t;
      options : options;
    }
  | Redirect of { target : Ipaddr.V6.t; destination : Ipaddr.V6.t; options : options }
  | Listener_query of { group : Ipaddr.V6.t }
      (** MLDv1 or v2; the unspecified address asks for all groups *)
  | Listener_report of { listener : listener; group : Ipaddr.V6.t }  (** MLDv2 with one record *)

type error =
  | Truncated
  | Bad_checksum
  | Bad_option  (** of length zero, or reaching beyond the message: RFC 4861 says discard *)
  | Bad_code of int
  | Multicast_target
  | Unknown_type of { kind : int; code : int }

val pp_error : error Fmt.t
val pp : t Fmt.t

(** Neighbour discovery messages, which count only when their hop limit arrives as 255. *)
val is_ndp : t -> bool

(** A message that fills the view. The checksum is verified. Listener reports of others are
    [Unknown_type]. *)
val parse : src:Ipaddr.V6.t -> dst:Ipaddr.V6.t -> Cstruct.t -> (t, error) result

val length : t -> int

(** Writes the whole message, [length t] bytes, with its checksum. *)
val emit : src:Ipaddr.V6.t -> dst:Ipaddr.V6.t -> t -> Cstruct.t -> unit
