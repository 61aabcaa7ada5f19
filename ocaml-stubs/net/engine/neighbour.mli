(** The neighbour cache: link addresses of hosts on the same link, and whether they still answer.

    The states are those of neighbour unreachability detection (RFC 4861 section 7.3), which serves
    ARP as well. ['addr] is an IP address, ['packet] whatever waits for a link address. Nothing here
    sends or sleeps: calls take the time in ns and return {!action}s to perform in order. *)

type ('addr, 'packet) t

type config = {
  reachable : int;  (** ns a confirmation lasts *)
  retransmit : int;  (** ns between solicitations *)
  delay : int;  (** ns of grace before a stale neighbour is probed *)
  multicast_tries : int;
  unicast_tries : int;
  capacity : int;
      (** entries. A quarter of them may be unanswered requests, the oldest of which goes first.
          Then go neighbours that were only heard of, and then those to which packets were sent, one
          that has not been used for long (RFC 6583) *)
  queue : int;
      (** packets waiting per neighbour; the oldest goes first. All together have no more waiting
          than a 32nd of the capacity with full queues *)
}

(** 30 s, 1 s, 5 s, 3 and 3 tries as in RFC 4861 section 10; 1024 entries, 16 packets. *)
val default : config

type ('addr, 'packet) action =
  | Solicit of { target : 'addr; unicast : Macaddr.t option }
      (** ask the whole link, or only the station believed to have the address *)
  | Transmit of { packet : 'packet; mac : Macaddr.t }
  | Unreachable of { target : 'addr; packets : 'packet list }  (** nobody answers *)
  | Overflow of 'packet  (** dropped to make room in the queue *)

val create : config -> ('addr, 'packet) t
val set_config : ('addr, 'packet) t -> config -> unit
val config : ('addr, 'packet) t -> config

(** {1 Sending} *)

(** Stays valid, if not alive, when the cache has dropped it. *)
type ('addr, 'packet) entry

(** The entry for the address, or one that is in no cache, and never fresh. *)
val find : ('addr, 'packet) t -> 'addr -> ('addr, 'packet) entry

(** Whether {!mac} can be used as it is: the neighbour is reachable, or under verification that
    needs no help from a sender. False for a dropped entry. The hot path of output is this test. *)
val fresh : ('addr, 'packet) entry -> now:int -> bool

(** Meaningful if {!fresh}. *)
val mac : ('addr, 'packet) entry -> Macaddr.t

(** Transmits now, or queues and solicits. *)
val send : ('addr, 'packet) t -> now:int -> 'addr -> 'packet -> ('addr, 'packet) action list

(** {1 What was heard} *)

(** A packet from the neighbour carried its link address (an ARP request for us, or a source
    link-layer address option). *)
val heard : ('addr, 'packet) t -> now:int -> 'addr -> Macaddr.t -> ('addr, 'packet) action list

(** An advertisement or ARP reply, by the rules of RFC 4861 section 7.2.5. Never makes an entry. *)
val advertised :
  ('addr, 'packet) t ->
  now:int ->
  'addr ->
  mac:Macaddr.t option ->
  solicited:bool ->
  override:bool ->
  ('addr, 'packet) action list

(** A transport has made progress by way of this neighbour. *)
val confirm : ('addr, 'packet) entry -> ('addr, 'packet) t -> now:int -> unit

(** The link was away, and others may be there now: all that are known are asked at once, and used
    until they have not answered. *)
val doubt : ('addr, 'packet) t -> now:int -> unit

(** Drops the entry, and returns what waited for it. *)
val forget : ('addr, 'packet) t -> 'addr -> 'packet list

(** {1 Time} *)

(** When {!tick} has something to do. *)
val next : ('addr, 'packet) t -> int option

val tick : ('addr, 'packet) t -> now:int -> ('addr, 'packet) action list

type state = Incomplete | Reachable | Stale | Delay | Probe

val pp_state : state Fmt.t

(** For printing; the link address of an incomplete entry is meaningless. *)
val entries : ('addr, 'packet) t -> now:int -> ('addr * state * Macaddr.t) list
