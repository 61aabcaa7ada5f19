(* The OCaml targets under libFuzzer: tests/fuzz/libfuzzer calls the function. TARGET in the environment says which.
   *)

let () =
  match List.assoc_opt (Sys.getenv "TARGET") Targets.all with
  | Some target -> Callback.register "fuzz" target
  | None -> failwith "TARGET names no target"
