external hurry : unit -> (int[@untagged]) = "mirust_native_only" "mirust_ocaml_gc_hurry" [@@noalloc]

(* [Gc.full_major] runs up to this many cycles. *)
let cycles = 3

(* A slice that requests the work of one cycle, and finds it done. *)
let settle () =
  ignore (hurry () : int);
  ignore (Gc.major_slice 0 : int)

let full_major () =
  Gc.full_major ();
  for _ = 1 to cycles do
    settle ()
  done
