(** What is known of the MTU of paths (RFC 1191, RFC 8201), for a bounded number of destinations. *)

type 'addr t

(** [minimum]: no report lowers the MTU below this (552 for IPv4, 1280 for IPv6), so that a forged
    one cannot make packets tiny. *)
val create : ?capacity:int -> minimum:int -> unit -> 'addr t

(** [lower t ~now dst mtu ~link] takes note of a report; [link] is the MTU of the own link. False if
    the report says nothing new. *)
val lower : 'addr t -> now:int -> 'addr -> int -> link:int -> bool

(** What is known, for ten minutes after the report; else [link]. *)
val get : 'addr t -> now:int -> 'addr -> link:int -> int
