(* A program whose answers depend on its frame tables: the collector finds what the stack holds by them, at calls
   and at allocations of several blocks, and exceptions their backtraces. *)

(* Every frame holds blocks that have moved by the time it returns. *)
let rec deep n =
  let block = [| n; n + 1 |] in
  if n mod 500 = 0 then Gc.compact ();
  let below = if n = 0 then 0 else deep (n - 1) in
  let pair = (block, [ below ]) in
  (fst pair).(0) + (fst pair).(1) - n - 1 + List.hd (snd pair)

(* Made where an exception may come from, and in one of two ways. *)
module Careful = struct
  let number = match int_of_string "1x" with n -> n | exception Failure _ -> 7

  module Chosen =
    (val if number > 5 then (module Modules.Outer.Passed : Modules.Shape)
         else (module Modules.Square))
end

let[@inline never] fail () = if Sys.opaque_identity true then raise Not_found

let[@inline never] caught () =
  match fail () with () -> "nothing" | exception Not_found -> Printexc.get_backtrace ()

let () =
  Modules.say ();
  print_endline Follows.said;
  Printf.printf "%s %d\n" Careful.Chosen.name (Careful.Chosen.area 1);
  Printexc.record_backtrace true;
  let made = List.init 1000 (fun i -> (string_of_int i, float_of_int i)) in
  Printf.printf "deep %d\n" (deep 2000);
  Gc.full_major ();
  Printf.printf "floats %.1f\n" (List.fold_left (fun sum (_, f) -> sum +. f) 0. made);
  let table = Hashtbl.create 10 in
  List.iter (fun (name, f) -> Hashtbl.replace table name f) made;
  Printf.printf "found %.1f\n" (Hashtbl.find table "999");
  let backtrace = caught () in
  print_endline
    (if backtrace = "" then "no frames"
     else
       let named = List.exists (String.starts_with ~prefix:"Raised at Dune__exe__Sample.fail") in
       if named (String.split_on_char '\n' backtrace) then "locations" else "frames")
