open Lwt.Infix

type t = { mutable size : int; mutable free : int; changed : unit Lwt_condition.t }

let create size = { size; free = size; changed = Lwt_condition.create () }
let size t = t.size

(* More than the whole pool counts as the whole pool. *)
let amount t n = min n t.size

let try_take t n =
  let n = amount t n in
  n <= t.free
  &&
  (t.free <- t.free - n;
   true)

let rec take t n =
  if try_take t n then Lwt.return_unit else Lwt_condition.wait t.changed >>= fun () -> take t n

let give t n =
  t.free <- min t.size (t.free + n);
  if n > 0 then Lwt_condition.broadcast t.changed ()

(* Negative when more is held than there is now. *)
let resize t size =
  t.free <- t.free + size - t.size;
  t.size <- size;
  Lwt_condition.broadcast t.changed ()

let changed t = Lwt_condition.wait t.changed
