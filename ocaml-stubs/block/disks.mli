(** The parameter [--disk=NAME:DEVICE], which assigns a device to a disk's name. *)

(** The names and devices that were given. A program with disks calls it so that the parameter is
    accepted; Rust looks the names up by itself. *)
val named : unit -> (string * string) list
