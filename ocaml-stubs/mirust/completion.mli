(** Promises that Rust resolves.

    OCaml hands a {!token} (a plain integer) to Rust together with its request; when the request is
    done, Rust queues the token, and the loop wakes who waits for it. Nothing on the Rust side
    refers to the OCaml heap, so nothing has to be rooted, and a token that nobody waits for any
    more is ignored. *)

(** Names one waiting promise, once. Never negative. *)
type token = int

(** A fresh token and the promise that completing it resolves. Cancelling the promise forgets the
    token; the Rust side learns of that only if it is told. *)
val create : unit -> token * unit Lwt.t

(** [register f] is a fresh token whose completion runs [f ()] in the loop, outside of any promise.
    An exception of [f] goes to [!Lwt.async_exception_hook]. *)
val register : (unit -> unit) -> token

(** Makes a later completion of the token mean nothing. Harmless if it is already completed. *)
val forget : token -> unit

(** How many tokens are waited for. *)
val pending : unit -> int

(** What the loop does with a token it took from the queue. *)
val complete : token -> unit
