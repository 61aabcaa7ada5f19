(** What a client sends between MULTI and EXEC: commands that are kept, to be run later, all of them
    at once. *)

type t

val create : unit -> t

(** What one may take in memory, in bytes. It is to be reserved beforehand. *)
val most : int

(** [add t words] keeps a command, the first of [words], and its arguments. [Error] says in one line
    why it cannot be part of a transaction, which is then void: not a command that only reads or
    writes small values, or too many of them. *)
val add : t -> string list -> (unit, string) result

(** Makes it void: a command of it was refused before it could be kept. *)
val cancel : t -> unit

(** The commands in their order; none if the transaction is void. *)
val commands : t -> string list list option
