(** Pairs of IPv4 addresses that packets may come with: from such a source as a host can have, to an
    address of ours. What routes and addresses say about a pair is kept for as long as they do not
    change, since most packets are from the same few hosts as those before. *)

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
