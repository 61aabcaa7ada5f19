(** A token bucket, for what strangers can make us send. *)

type t

(** [rate] per second. *)
val create : rate:int -> burst:int -> t

val take : ?cost:int -> t -> now:int -> bool
