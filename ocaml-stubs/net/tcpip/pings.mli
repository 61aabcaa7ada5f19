(** Echo requests that wait for their answers, for both versions of ICMP. *)

type t

val create : unit -> t

(** [ping t ~timeout send]: [send] sends a request with this identifier and sequence number. The
    result is the round-trip time in ns, or [`Timeout] after [timeout] ns. *)
val ping :
  t ->
  timeout:int ->
  (id:int -> seq:int -> (unit, _) result Lwt.t) ->
  (int, [> `Timeout | `No_route ]) result Lwt.t

(** An answer has come: perhaps to one of them. *)
val answered : t -> id:int -> seq:int -> unit

(** How many wait. *)
val waiting : t -> int
