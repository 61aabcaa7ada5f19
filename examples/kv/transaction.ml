type t = {
  mutable commands : string list list; (* the latest first *)
  mutable cost : int;
  mutable void : bool;
}

let create () = { commands = []; cost = 0; void = false }
let most = 4096

(* Their answers are small. Those of GET and MGET may not be: they are sent piece by piece, and others would have their
   turn meanwhile. *)
let belongs = function
  | "SET" | "DEL" | "UNLINK" | "EXISTS" | "STRLEN" | "TYPE" | "TTL" | "PTTL" | "INCR" | "DECR"
  | "INCRBY" | "DECRBY" | "DBSIZE" | "FLUSHALL" | "FLUSHDB" | "PING" | "ECHO" ->
      true
  | _ -> false

let cancel t =
  t.void <- true;
  t.commands <- []

let add t words =
  let cost = t.cost + Resp.cost words in
  let refused why =
    cancel t;
    Error why
  in
  match words with
  | command :: _ when not (belongs command) ->
      refused (Reply.shown command ^ " is not for transactions")
  | _ when cost > most -> refused "the transaction is too large"
  | _ ->
      t.commands <- words :: t.commands;
      t.cost <- cost;
      Ok ()

let commands t = if t.void then None else Some (List.rev t.commands)
