(* Fibres in an image: their stacks come from the same heap as all else, and grow and go. *)
open Mirust_direct

let ms n = Int64.mul (Int64.of_int n) 1_000_000L
let sleep n = await (Mirust.Time.ns (ms n))

(* Deep enough for a fibre's stack to be moved several times, asleep at the bottom. *)
let rec depth n =
  if n = 0 then (
    sleep 1;
    0)
  else 1 + depth (n - 1)

let rec collect () =
  Gc.full_major ();
  sleep 1;
  collect ()

let () =
  let main () =
    let collector = run collect in
    let start = Mirust.Mclock.elapsed_ns () in
    let sum = List.fold_left ( + ) 0 (all (List.init 2000 (fun i () -> sleep 20; i))) in
    let took = Int64.sub (Mirust.Mclock.elapsed_ns ()) start in
    Printf.printf "2000 fibres: %d\n" sum;
    Printf.printf "side by side: %b\n" (took >= ms 20 && took < ms 20_000);
    Printf.printf "deep: %d\n" (List.fold_left ( + ) 0 (all (List.init 4 (fun _ () -> depth 50_000))));
    (match await (Lwt.bind (Mirust.Time.ns 1L) (fun () -> Lwt.fail Not_found)) with
    | () -> print_endline "no exception"
    | exception Not_found -> print_endline "an exception arrives");
    Lwt.cancel collector;
    match await collector with
    | () -> ()
    | exception Lwt.Canceled -> print_endline "cancelled"
  in
  Mirust.Main.run (run main)
