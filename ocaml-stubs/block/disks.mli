(** The parameter [--disk=NAME:DEVICE]: which device is the disk that the program calls so. *)

(** The names that were given, with their devices. A program that has disks calls it, so that the
    parameter is one of its own; Rust looks for the names by itself. *)
val named : unit -> (string * string) list
