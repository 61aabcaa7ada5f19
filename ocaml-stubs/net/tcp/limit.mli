(** A limit of events per second, for answers that a stranger can provoke.

    The number changes at random every second: an attacker who knew it could find out what other
    connections do by using up the rest (RFC 5961 section 10, CVE-2016-5696). *)

type t

(** [create ~least random]: between [least] and twice [least] events a second. [random n] is a
    number below [n]. *)
val create : least:int -> (int -> int) -> t

(** Whether one more event is allowed at the time [now] (ns), which is then counted. *)
val allows : t -> now:int -> bool
