(** As much JSON (RFC 8259) as iperf3 speaks. *)

type t =
  | Null
  | Bool of bool
  | Number of float
  | String of string
  | List of t list
  | Object of (string * t) list

(** One value with nothing but white space around it. Any string gives a result; nesting deeper than
    32 is an error, and so is a character above U+00FF in [\u] notation. *)
val parse : string -> (t, string) result

(** On one line. Bytes of strings from 0x80 on are kept as they are. *)
val to_string : t -> string

(** The member of that name, or [Null]. *)
val member : string -> t -> t
