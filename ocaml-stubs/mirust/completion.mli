(** Promises that Rust resolves.

    OCaml passes a {!token} (a plain integer) to Rust together with its request; when the request is
    done, Rust queues the token, and the loop wakes whatever waits for it. Nothing on the Rust side
    refers to the OCaml heap, so nothing has to be rooted, and a token that is no longer awaited is
    ignored. *)

(** Identifies one waiting promise, once. Never negative. *)
type token = int

(** A fresh token, and the promise that is resolved when it completes. Cancelling the promise
    forgets the token; the Rust side is not told automatically. *)
val create : unit -> token * unit Lwt.t

(** [register f] is a fresh token whose completion runs [f ()] in the loop, outside any promise. An
    exception raised by [f] goes to [!Lwt.async_exception_hook], except [Out_of_memory], which loses
    this call ({!Main.attempt}). *)
val register : (unit -> unit) -> token

(** Makes a later completion of the token a no-op. Harmless if it has already completed. *)
val forget : token -> unit

(** The number of tokens that are waited for. *)
val pending : unit -> int

(** Called by the loop with a token from the queue. *)
val complete : token -> unit
