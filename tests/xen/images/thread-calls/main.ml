(* The OCaml half: what threads call, and a loop that must go on while Rust's main function blocks. *)

open Lwt.Infix

let ticks = ref 0

let rec tick () =
  incr ticks;
  Mirust.Time.ns 2_000_000L >>= tick

(* Allocates, moves everything there is, and raises where it is asked to. *)
let double n =
  if n < 0 then raise Not_found;
  let numbers = List.init 100 (fun i -> (i, string_of_int n)) in
  if n mod 10 = 0 then Gc.compact () else Gc.minor ();
  let i, text = List.nth numbers 99 in
  (2 * int_of_string text) + i - 99

let () =
  Rust.hand_over double (fun () -> !ticks) (fun ms -> Rust.block ms);
  Mirust.Main.run (tick ())
