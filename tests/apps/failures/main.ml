(* Failures in both directions: the ten thousandth is like the first, and the program goes on. *)

open Mirust

external fail : string -> (int[@untagged]) = "mirust_native_only" "mirust_export_fail"
external catch : (int -> int) -> (int[@untagged]) -> (int[@untagged]) = "mirust_native_only" "mirust_export_catch"
external fail_in_task : unit -> unit = "mirust_export_fail_in_task"

let times = 10_000

let () =
  Log.set_level None;
  let panics = ref 0 and exceptions = ref 0 in
  for i = 1 to times do
    let message = string_of_int i in
    (match fail message with _ -> () | exception Panic m -> if m = message then incr panics);
    if catch (fun n -> if n = i then raise Not_found else n) i = -1 then incr exceptions;
    if i mod 100 = 0 then Gc.compact ()
  done;
  Printf.printf "%d panics, %d exceptions\n" !panics !exceptions;
  let rec nested n = if n = 0 then fail "bottom" else catch nested (n - 1) in
  Printf.printf "nested: %d\n" (nested 100);
  for _ = 1 to 100 do
    fail_in_task ()
  done;
  Main.run (Time.ns 1_000_000L);
  print_endline "still here"
