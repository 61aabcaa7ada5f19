(** From a request to its response, whatever the transport. *)

type t

(** A server whose zones are a function: the answer for a name, as it stands in a message, and a
    type, in the form that {!Reply.body} takes. Answers are kept, as the zones do not change. *)
val create : lookup:(string -> int -> string) -> t

(** Answers that are kept at most. *)
val cache_size : int

(** The response to a message, if it is to have one. An exception of [lookup] is a server failure.
*)
val answer : t -> [ `Udp | `Tcp ] -> Cstruct.t -> Cstruct.t option
