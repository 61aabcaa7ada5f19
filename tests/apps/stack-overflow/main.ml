(* Rust code that OCaml calls uses up the stack: OCaml's own handler has nothing to say about it. *)

external deeper : (int[@untagged]) -> (int[@untagged]) = "mirust_native_only" "mirust_export_deeper"

let () =
  print_endline "before";
  ignore (deeper 1 : int)
