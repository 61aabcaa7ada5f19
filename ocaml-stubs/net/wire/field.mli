(** Big-endian fields of a packet, as OCaml integers.

    All offsets and lengths are in bytes, from the start of the view. An access outside the view
    raises [Invalid_argument]: parsers check lengths first, so that only a mistake of ours can raise
    it, never a packet. None of the integer accessors allocates. *)

val u8 : Cstruct.t -> int -> int
val u16 : Cstruct.t -> int -> int

(** 0 to 2{^ 32}-1. *)
val u32 : Cstruct.t -> int -> int

val set_u8 : Cstruct.t -> int -> int -> unit
val set_u16 : Cstruct.t -> int -> int -> unit

(** Writes the low 32 bits. *)
val set_u32 : Cstruct.t -> int -> int -> unit

(** [set_u64 b i high low] writes the low 32 bits of both, in one access. *)
val set_u64 : Cstruct.t -> int -> int -> int -> unit

(** 0 to 2{^ 48}-1. *)
val u48 : Cstruct.t -> int -> int

(** The address as {!u48} reads it. *)
val mac_number : Macaddr.t -> int

val mac : Cstruct.t -> int -> Macaddr.t
val set_mac : Cstruct.t -> int -> Macaddr.t -> unit
val v4 : Cstruct.t -> int -> Ipaddr.V4.t
val set_v4 : Cstruct.t -> int -> Ipaddr.V4.t -> unit
val v6 : Cstruct.t -> int -> Ipaddr.V6.t
val set_v6 : Cstruct.t -> int -> Ipaddr.V6.t -> unit

(** The address as a number from 0 to 2{^ 32}-1: an unboxed key for tables. *)
val int_of_v4 : Ipaddr.V4.t -> int

val v4_of_int : int -> Ipaddr.V4.t

(** [zero b off len] clears [len] bytes. *)
val zero : Cstruct.t -> int -> int -> unit
