(* Out of memory in both languages and between them is an event like others: an error, an exception, and the
   program goes on. *)

open Lwt.Infix

external hold : unit -> (int[@untagged]) = "mirust_native_only" "mirust_export_hold"
external release : unit -> unit = "mirust_export_release"
external prepare : unit -> unit = "mirust_export_prepare"
external give : unit -> bytes = "mirust_export_give"
external give_later : unit -> (bytes, string) result Lwt.t = "mirust_export_give_later"
external pass : (bytes -> int) -> string Lwt.t = "mirust_export_pass"

type bigarray = (char, Bigarray.int8_unsigned_elt, Bigarray.c_layout) Bigarray.Array1.t

external pass_bigarray : (bigarray -> int) -> string Lwt.t = "mirust_export_pass_bigarray"
external make : unit -> string Lwt.t = "mirust_export_make"

let times = 8

let rust () =
  let blocks = hold () in
  release ();
  let again = hold () in
  release ();
  Printf.printf "Rust: held %b, and nearly as much again %b\n" (blocks > 0) (again >= blocks - 2)

let ocaml () =
  let rec grow kept = grow (Bytes.create 1_000_000 :: kept) in
  let raised = ref 0 in
  for _ = 1 to 3 do
    (match grow [] with (_ : bytes list) -> () | exception Out_of_memory -> incr raised);
    Gc.compact ()
  done;
  Printf.printf "OCaml: Out_of_memory %d times\n" !raised

(* With hardly any memory left. *)
let short f =
  prepare ();
  ignore (hold () : int);
  f () >|= fun result ->
  release ();
  result

let rec count n f = if n = 0 then Lwt.return 0 else f () >>= fun b -> count (n - 1) f >|= ( + ) b
let raised f = Lwt.catch f (function Out_of_memory -> Lwt.return 1 | _ -> Lwt.return 0)

let boundary () =
  count times (fun () ->
      short (fun () -> raised (fun () -> Lwt.return (if give () = Bytes.empty then 2 else 0))))
  >>= fun at_once ->
  count times (fun () -> short (fun () -> raised (fun () -> give_later () >|= fun _ -> 0)))
  >>= fun later ->
  Printf.printf "between them: %d results and %d promises raised Out_of_memory\n" at_once later;
  short (fun () -> pass Bytes.length) >>= fun task ->
  print_endline ("a task: " ^ task);
  short (fun () -> pass_bigarray Bigarray.Array1.dim) >>= fun task ->
  print_endline ("a task with a bigarray: " ^ task);
  short make >|= fun task ->
  print_endline ("a task that makes a value: " ^ task);
  prepare ();
  Printf.printf "and then: %d bytes\n" (Bytes.length (give ()))

let () =
  Mirust.Log.set_level None;
  rust ();
  ocaml ();
  Mirust.Main.run (Lwt.pause () >>= boundary)
