(** How many ICMP errors may be sent: there is a limit for each address, and a randomised one for
    all of them together.

    An exactly known limit that is shared by all is a side channel: an attacker who provokes errors
    with a forged source address sees by what is left of the limit whether they were sent, and so
    which ports are open (CVE-2020-25705). *)

type t

val create : unit -> t

(** Whether an error may be sent to this address now. *)
val take : t -> to_:string -> bool
