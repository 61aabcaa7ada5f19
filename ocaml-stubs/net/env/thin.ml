type t = { mutable count : int }

let create () = { count = 0 }
let count t = t.count

let warn t (module Log : Logs.LOG) text =
  t.count <- t.count + 1;
  let n = t.count in
  (* What is warned of may be that there is no memory, and whoever warns has nobody left to tell. *)
  if n <= 8 || n land (n - 1) = 0 then
    try Log.warn (fun m -> m "%s (complaint %d)" (text ()) n) with Out_of_memory -> ()
