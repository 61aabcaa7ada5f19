(** Requests (RFC 1035 section 4.1), with their extension (RFC 6891). Nothing that a peer sends
    makes the parser raise, and it follows no pointer, so that there is no circle to be caught in.
*)

(** What a response repeats of any request. *)
type header = { id : int; opcode : int; recursion_desired : bool }

type question = {
  name : string;  (** as in the message, with the letter case that the client used *)
  kind : int;
  class_ : int;
}

(** What the requester says in an OPT record. *)
type edns = {
  size : int;  (** bytes of a datagram that it can take *)
  version : int;
  dnssec_ok : bool;
}

type t =
  | Question of header * question * edns option
  | Malformed of header  (** to be told so *)
  | Other of header  (** not a standard query *)
  | Nothing  (** too short to be answered, or itself a response: answering it might never end *)

(** The payload of a datagram, or a message of a TCP connection. *)
val parse : Cstruct.t -> t

(** Where the name that begins at an offset ends, as far as it is all there. A name in full ends
    with the root's label; [pointers] allows a pointer instead. *)
val name_end : pointers:bool -> Cstruct.t -> int -> int option
