(** Places in OCaml source where a small change makes a mutant: another program that compiles, and
    is wrong unless the change does not matter.

    Changes are of text, not of syntax trees: comments and strings are passed over, and a mutant
    that does not compile is none. *)

type t = {
  file : string;  (** without its folder *)
  line : int;  (** from 1 *)
  column : int;  (** in bytes, from 0 *)
  from : string;  (** what is there *)
  into : string;  (** what is put there instead *)
  text : string;  (** the line, trimmed *)
  nth : int;  (** from 1, of the same change in the same line *)
}

(** All places of a file's text, from the beginning. *)
val all : file:string -> string -> t list

(** The text with this one change. *)
val apply : t -> string -> string

(** Names the change for people and for {!Equivalent}, whatever the line's number:
    [file: from -> into #nth: text]. *)
val name : t -> string
