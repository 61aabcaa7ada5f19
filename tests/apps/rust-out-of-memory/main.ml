external take_all : unit -> (int[@untagged]) = "mirust_native_only" "mirust_export_take_all"

let () =
  print_endline "before";
  flush stdout;
  ignore (take_all () : int);
  print_endline "not after"
