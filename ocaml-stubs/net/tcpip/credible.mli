(** A cache of acceptable pairs of IPv4 addresses in received packets: from a source that a host can
    have, to an address of ours. The verdict on a pair is kept until routes or addresses change,
    since most packets come from the same few hosts. *)

type pair = { src : Ipaddr.V4.t; dst : Ipaddr.V4.t }
type t

val create : unit -> t

(** The pair of these addresses, as {!Mirust_wire.Field.int_of_v4} gives them; [routes] is the
    generation of what [check] goes by. [None] if [check] says so. *)
val find :
  t ->
  routes:int ->
  src:int ->
  dst:int ->
  check:(src:Ipaddr.V4.t -> dst:Ipaddr.V4.t -> bool) ->
  pair option
