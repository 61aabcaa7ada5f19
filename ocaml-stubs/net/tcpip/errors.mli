(** How many ICMP errors may be sent: those to one address have a limit of their own, and all
    together one that nobody can count on.

    A limit that is exactly known, and shared by all, is a side channel: a stranger who provokes
    errors in another's name sees by what is left for him whether they were sent, and so which ports
    are open (CVE-2020-25705). *)

type t

val create : unit -> t

(** Whether an error may be sent to this address now. *)
val take : t -> to_:string -> bool
