(** Warnings that a stranger can provoke at will: the first eight are logged, and then one each time
    their number has doubled, so that nobody can fill the console. *)

type t

val create : unit -> t

(** [warn t (module Log) text] logs [text ()] with its number, or nothing. *)
val warn : t -> (module Logs.LOG) -> (unit -> string) -> unit

(** How many there were, logged or not. *)
val count : t -> int
