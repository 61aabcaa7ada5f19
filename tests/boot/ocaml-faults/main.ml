(* An image that fails in the way its command line asks for. *)

open Mirust

let case = Bootvar.register Cmdliner.Arg.(value & pos 0 string "none" & info [] ~docv:"CASE")
let how = Bootvar.register Cmdliner.Arg.(value & pos 1 string "" & info [] ~docv:"HOW")

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

(* Small blocks run out in a minor collection, where nothing can be raised; the kept memory makes it do so before. And
   it is an ordinary event: it can be had again and again. *)
let small_blocks () =
  let rec small acc n = if n = 0 then acc else small (ref n :: acc) (n - 1) in
  for _ = 1 to 3 do
    match Sys.opaque_identity (small [] 20_000_000) with
    | l -> Printf.printf "all %d fitted\n" (List.length l)
    | exception Out_of_memory -> print_endline "Out_of_memory for small blocks"
  done;
  print_endline
    (if List.length (Sys.opaque_identity (small [] 10_000)) = 10_000 then
       "and there is memory again"
     else "and something is wrong")

(* A table that grows by small blocks and by an array that is copied, up to the limit. *)
let table () =
  let t = Hashtbl.create 16 in
  (try
     for i = 1 to 20_000_000 do
       Hashtbl.add t i (String.make 30 'x')
     done
   with Out_of_memory ->
     Printf.printf "a table of more than 10000: %b\n" (Hashtbl.length t > 10_000));
  Hashtbl.reset t;
  small_blocks ()

(* What a stack has grown to stays: it must not be most of the memory. *)
let stack_and_heap () =
  stack_overflow ();
  let free () = (Stats.Memory.get ()).free in
  let before = free () in
  stack_overflow ();
  let kept = before - free () in
  Printf.printf "the second overflow took less than 64 KiB more: %b\n" (kept < 65536);
  Printf.printf "more than half is free: %b\n" (2 * free () > (Stats.Memory.get ()).total)

let segfault () =
  let a = Bigarray.(Array1.create char c_layout 1) in
  (* Far outside of the array, without a bounds check. *)
  Bigarray.Array1.unsafe_set a (Sys.opaque_identity (1 lsl 45)) 'x'

external memalign : (int[@untagged]) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "memalign"
[@@noalloc]

external memset : (int[@untagged]) -> (int[@untagged]) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "memset"
[@@noalloc]

(* Takes memory until there is none, and looks for no error: in OCaml, in a collection's own allocations, or in C. *)
let hoard =
  let rec small kept = small (ref 0 :: kept) in
  let rec large kept = large (Bytes.create 10_000_000 :: kept) in
  (* Nothing is let go of, again and again. *)
  let rec deaf kept =
    match
      for _ = 1 to 1000 do
        kept := ref 0 :: !kept
      done
    with
    | () | (exception Out_of_memory) -> deaf kept
  in
  let rec pages () =
    ignore (memset (memalign 4096 4096) 0 4096 : int);
    pages ()
  in
  function
  | "small" -> small []
  | "large" -> large []
  | "deaf" -> deaf (ref [])
  | "pages" -> pages ()
  | other -> failwith other

let run () =
  (match case () with
  | "hoard" -> hoard (how ())
  | "stack" -> stack_overflow ()
  | "uncaught" -> uncaught ()
  | "memory" -> out_of_memory ()
  | "small" -> small_blocks ()
  | "table" -> table ()
  | "deep" -> stack_and_heap ()
  | "fault" -> segfault ()
  | other -> print_endline ("unknown case: " ^ other));
  Lwt.return_unit

let () = Main.run (Lwt.bind (Lwt.pause ()) run)
