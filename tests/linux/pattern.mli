(** Bytes whose place in a stream can be told from their value: a stream that lost, doubled or
    swapped a part differs from the pattern at once. *)

(** The byte at a place, from 0 on, of a stream's pattern. *)
val byte : stream:int -> int -> char
