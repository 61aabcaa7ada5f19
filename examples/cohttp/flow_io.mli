(** Cohttp's channels over TCP flows of the stack. *)

open Mirust_stack

type ic
type oc

(** Both directions of a connection. *)
val channels : Stack.TCP.flow -> ic * oc

include
  Cohttp_lwt.S.IO
    with type ic := ic
     and type oc := oc
     and type conn = Stack.TCP.flow
     and type error = Stack.TCP.write_error
