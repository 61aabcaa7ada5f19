(* The suite with Rust's side under the address sanitizer. With "prove" it does what the sanitizer is there to
   find, and has to be stopped. *)

external overrun : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_overrun"

let () =
  if Array.mem "prove" Sys.argv then ignore (overrun 16 : int)
  else if Array.length Sys.argv = 1 then (
    Often.share := 10;
    All.run ())
