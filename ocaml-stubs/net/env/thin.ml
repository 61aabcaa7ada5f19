type t = { mutable count : int }

let create () = { count = 0 }
let count t = t.count

let warn t (module Log : Logs.LOG) text =
  t.count <- t.count + 1;
  let n = t.count in
  (* The warning may be about memory that has run out, so it may fail for the same reason. *)
  if n <= 8 || n land (n - 1) = 0 then
    try Log.warn (fun m -> m "%s (complaint %d)" (text ()) n) with Out_of_memory -> ()
