(** Mutants of which it is known why no test can tell them from the engine, or need not.

    [equivalent.txt]: blocks of lines, an empty line between them: the reason, on lines that begin
    with [#], and then names as {!Site.name} has them. *)

type t = { reason : string; name : string }

(** Raises [Failure] for a name without a reason. *)
val parse : string -> t list
