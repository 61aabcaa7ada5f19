(** A token bucket, for what strangers can make us send. *)

type t

(** [rate] per second. *)
val create : rate:int -> burst:int -> t

val take : t -> now:int -> bool
