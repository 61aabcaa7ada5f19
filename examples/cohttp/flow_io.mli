(** Cohttp's channels over TCP flows of the stack. *)

open Mirust_stack

type ic
type oc

(** Octets of a head that are kept; a longer one ends the connection. *)
val longest_head : int

(** Both directions of a connection, whose client has this place: it is busy during a write. *)
val channels : Stack.TCP.flow -> Mirust.Places.place -> ic * oc

include
  Cohttp_lwt.S.IO
    with type ic := ic
     and type oc := oc
     and type conn = Mirust.Places.place
     and type error = Stack.TCP.write_error
