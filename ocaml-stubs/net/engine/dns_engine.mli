(** A resolver's client: questions to recursive name servers, retries, aliases, and a cache.

    ['waiter] is whatever waits for an answer. Times are in ns. An answer counts only if it comes
    from the server that was asked, to the random port it was asked from, with the random identifier
    and the question it was asked (RFC 5452). *)

open Mirust_wire

type 'waiter t

type config = {
  timeout : int;  (** ns until a question is repeated, to the next server *)
  tries : int;  (** questions altogether for one name of an alias chain *)
  aliases : int;  (** longest chain followed *)
  cache : int;  (** entries; {!addresses_per_entry} more addresses count as one more entry *)
  in_flight : int;  (** names asked for at one time *)
  over_tcp : int;  (** answers over TCP at one time, each of up to 64 KiB: for the user of this *)
  max_ttl : int;  (** seconds; for negative answers a twelfth of it *)
}

(** 2 s, 5 tries, 8 aliases, 1024 entries, 256 in flight, 8 of them over TCP, one hour. *)
val default : config

(** About as much memory as an entry with few takes without them. *)
val addresses_per_entry : int

(** Not empty. *)
type answer = Ipaddr.t list

type failure =
  [ `No_such_name  (** the name does not exist *)
  | `No_address  (** it exists, but has no address of this kind *)
  | `Timeout
  | `Server_failure  (** every server tried failed or refused *)
  | `Too_many_aliases
  | `Busy  (** too many questions in flight, or no free port *)
  | `No_server  (** none is configured *) ]

val pp_failure : failure Fmt.t

type 'waiter action =
  | Ask of { server : Ipaddr.t; port : int; message : Cstruct.t }
      (** a datagram from this port, which now has to be listened to, to port 53 *)
  | Ask_tcp of { server : Ipaddr.t; port : int; message : Cstruct.t }
      (** the answer was too long: ask again over TCP, and pass the answer to {!input} with [port],
          or call {!failed} *)
  | Release of int  (** the port is not listened to any more *)
  | Answer of { waiters : 'waiter list; result : (answer, failure) result }

(** [random n] is between 0 and [n - 1], and must not be predictable. Ports that are not [is_free]
    are somebody else's, and not asked from; all are by default. *)
val create : ?config:config -> ?is_free:(int -> bool) -> random:(int -> int) -> unit -> 'waiter t

val resolve :
  'waiter t ->
  now:int ->
  servers:Ipaddr.t list ->
  [ `host ] Domain_name.t ->
  Dns.kind ->
  'waiter ->
  'waiter action list

(** A message that came to [port] from a server's port 53. *)
val input : 'waiter t -> now:int -> server:Ipaddr.t -> port:int -> Cstruct.t -> 'waiter action list

(** Whether an answer over TCP is still of use. *)
val asks_over_tcp : 'waiter t -> port:int -> bool

(** The query over TCP failed. *)
val failed : 'waiter t -> now:int -> port:int -> 'waiter action list

val next : 'waiter t -> int option
val tick : 'waiter t -> now:int -> 'waiter action list

(** Questions in flight. *)
val pending : 'waiter t -> int

(** Entries of the cache, however long. *)
val cached : 'waiter t -> int
