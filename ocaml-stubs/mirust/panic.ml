exception Panic of string

let () =
  Callback.register_exception "mirust_panic" (Panic "");
  Printexc.register_printer (function Panic m -> Some ("Rust panic: " ^ m) | _ -> None)
