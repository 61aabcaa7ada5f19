(* The end of a program that cannot continue. *)

let report ~what exn backtrace =
  flush stdout;
  (match exn with
  | Setup.Unavailable message ->
      prerr_endline ("error: " ^ message);
      ignore (Abi.exit 1 : int)
  | _ ->
      let message = Printf.sprintf "uncaught OCaml exception%s: %s" what (Printexc.to_string exn) in
      prerr_string (Printexc.raw_backtrace_to_string backtrace);
      flush stderr;
      ignore (Abi.crash message (String.length message) : int));
  assert false

let install () =
  Printexc.record_backtrace true;
  Printexc.set_uncaught_exception_handler (report ~what:"");
  Lwt.async_exception_hook :=
    fun exn -> report ~what:" in Lwt.async" exn (Printexc.get_raw_backtrace ())
