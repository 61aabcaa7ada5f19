(* A panic that nobody can catch: the frames of both languages. *)

external no_way_back : (int[@untagged]) -> (int[@untagged]) = "mirust_native_only" "mirust_export_no_way_back"
[@@noalloc]

let[@inline never] calls_rust n = 1 + no_way_back n

let () =
  print_endline "before";
  ignore (calls_rust 1 : int)
