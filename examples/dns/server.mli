(** From a request to its response, whatever the transport. *)

type t

(** A server whose zones are a function: the answer for a name, as it stands in a message, and a
    type, in the form that {!Reply.body} takes. Answers are kept, as the zones do not change, in
    about this many bytes of [memory]. *)
val create : ?memory:int -> lookup:(string -> int -> string) -> unit -> t

(** There are this many from now on. *)
val set_memory : t -> int -> unit

(** Bytes of the answers that are kept now, about. *)
val held : t -> int

(** Bytes of the longest response over TCP that there has been, 4096 at least. *)
val longest : t -> int

(** The response to a message, if it is to have one. An exception of [lookup] is a server failure.
*)
val answer : t -> [ `Udp | `Tcp ] -> Cstruct.t -> Cstruct.t option
