(** TCP segments (RFC 9293 section 3.1) and their options.

    Sequence numbers are OCaml integers from 0 to 2{^ 32}-1; arithmetic modulo 2{^ 32} is the
    caller's business. Numbers that may be missing are [-1] rather than an option, so that a segment
    costs two small blocks to parse. *)

(** 20 bytes. *)
val min_header_length : int

(** The control bits, as a bit set. *)
module Flags : sig
  type t = int

  val fin : t
  val syn : t
  val rst : t
  val psh : t
  val ack : t
  val urg : t
  val ece : t
  val cwr : t

  (** [has set bits]: at least one of [bits] is in [set]. *)
  val has : t -> t -> bool

  val pp : t Fmt.t
end

type options = {
  mss : int;  (** RFC 9293; bytes, [-1] when missing *)
  window_scale : int;  (** RFC 7323; 0 to 14 (larger values read as 14), [-1] when missing *)
  sack_permitted : bool;  (** RFC 2018 *)
  sack : (int * int) list;
      (** RFC 2018: left and right edges, at most four, in the order of the segment *)
  ts_value : int;  (** RFC 7323: 0 to 2{^ 32}-1, [-1] when missing *)
  ts_echo : int;  (** meaningful together with [ts_value] *)
}

val no_options : options

(** Mutable, so that one can serve for all segments that come in: see {!read}. *)
type t = {
  mutable src_port : int;
  mutable dst_port : int;
  mutable seq : int;
  mutable ack : int;  (** meaningful with {!Flags.ack} *)
  mutable flags : Flags.t;
  mutable window : int;  (** as on the wire, not scaled *)
  mutable urgent : int;
  mutable options : options;
  mutable header_length : int;  (** bytes, options included; the payload starts here *)
}

type error =
  | Truncated  (** shorter than 20 bytes, or than the data offset says *)
  | Bad_data_offset of int  (** below 20 bytes *)

val pp_error : error Fmt.t
val pp : t Fmt.t

(** Header of a segment that fills the view. The checksum is not verified: see {!verify}. Reading of
    options stops at one whose length is impossible; those before it count, as in every large
    implementation. An option of known kind but wrong length is skipped. *)
val parse : Cstruct.t -> (t, error) result

(** Whether {!parse} accepts it. *)
val is_whole : Cstruct.t -> bool

(** All fields 0, without options. *)
val create : unit -> t

(** [read t segment] makes [t] the header of a segment that {!is_whole}. Allocates at most the
    options, and those only if they differ from the ones before. *)
val read : t -> Cstruct.t -> unit

(** [stamped last ts_value ts_echo] is options of timestamps only: [last] itself if it is that. *)
val stamped : options -> int -> int -> options

val payload : t -> Cstruct.t -> Cstruct.t

(** [verify ~pseudo segment]: [pseudo] must have been built with the segment's length. *)
val verify : pseudo:Checksum.sum -> Cstruct.t -> bool

(** Bytes on the wire, padded to a multiple of 4. *)
val options_length : options -> int

(** Writes header and options, with a zero checksum field, and gives their length in bytes
    ([header_length] of the record is not used). The options are laid out so that the timestamps'
    numbers are aligned, in the order that header prediction of others expects. SACK blocks that do
    not fit in 40 bytes are left out from the end. *)
val emit : t -> Cstruct.t -> int

(** [emit_part t ~seq ~flags b ~at] writes to [b] from [at] on the header of a part of the segment,
    with [seq] and [flags] instead of its own. *)
val emit_part : t -> seq:int -> flags:Flags.t -> Cstruct.t -> at:int -> int

val set_checksum : Cstruct.t -> int -> unit

(** Byte offset of the checksum field, for devices that fill it in: 16. *)
val checksum_offset : int

(** {1 Fields in place}

    Without allocation, for a view of at least {!min_header_length} bytes. *)

val get_src_port : Cstruct.t -> int
val get_dst_port : Cstruct.t -> int
val get_seq : Cstruct.t -> int
val get_flags : Cstruct.t -> Flags.t
val get_window : Cstruct.t -> int

(** Not checked against 20 nor against the view. *)
val get_header_length : Cstruct.t -> int
