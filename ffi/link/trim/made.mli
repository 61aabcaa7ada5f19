(** What the initialisation of a module computes for a field: a block that it makes, as it does for
    a module inside the module, or the field of another module. What the block refers to counts only
    if somebody reads the field, or if the initialisation does anything else with the block. *)

open Parts

(** A relocation by which the address of static data is loaded. *)
type origin = {
  at : int;
  data : data;
  mutable lost : bool;  (** The address goes where it is not followed. *)
  mutable read : int list;  (** The fields of a module that are read in any case. *)
}

and data = Block of part | Module of string

type value =
  | Unknown
  | Constant of origin  (** A static block. *)
  | Inside of origin * int  (** The address of a module, plus an offset. *)
  | Loaded of origin * int  (** What the field of a module holds. *)
  | Fresh of chunk * int  (** A place in what was allocated at one time. *)

(** Blocks that are allocated together. An address of one leads to all. *)
and chunk = { mutable blocks : made list; words : (int, value) Hashtbl.t; mutable escaped : bool }

and made = { start : int; stop : int; mutable holds : value list; mutable needed : bool }

type found = {
  origins : origin list;
  puts : (string * int * value) list;  (** What fields are filled with: module, offset, value. *)
}

val block_at : chunk -> int -> made option

(** What the initialisation [part] makes. [is_module]: of a label.
    @raise Leave if anything about it is not understood *)
val make : Fields.code -> part -> is_module:(string -> bool) -> found
