(* An image that fails in the way its command line asks for. *)

open Mirust

let case = Bootvar.register Cmdliner.Arg.(value & pos 0 string "none" & info [] ~docv:"CASE")

(* Uses up OCaml's stack, which grows on the heap up to a limit of its own. *)
let rec deep n = if n = 0 then 0 else 1 + deep (n - 1)

let stack_overflow () =
  match deep 100_000_000 with
  | _ -> print_endline "no overflow"
  | exception Stack_overflow -> print_endline "Stack_overflow was raised"

let uncaught () = ignore (List.hd (Sys.opaque_identity []))

let out_of_memory () =
  let rec grow kept = grow (Bytes.create 1_000_000 :: kept) in
  match grow [] with
  | (_ : bytes list) -> ()
  | exception Out_of_memory -> print_endline "Out_of_memory was raised"

let segfault () =
  let a = Bigarray.(Array1.create char c_layout 1) in
  (* Far outside of the array, without a bounds check. *)
  Bigarray.Array1.unsafe_set a (Sys.opaque_identity (1 lsl 45)) 'x'

let run () =
  (match case () with
  | "stack" -> stack_overflow ()
  | "uncaught" -> uncaught ()
  | "memory" -> out_of_memory ()
  | "fault" -> segfault ()
  | other -> print_endline ("unknown case: " ^ other));
  Lwt.return_unit

let () = Main.run (Lwt.bind (Lwt.pause ()) run)
