(* The end of a program that cannot continue. *)

(* An image has no source locations, unless it is built with LOCATIONS=1: its own names of functions then. *)
let print backtrace =
  match Printexc.backtrace_slots backtrace with
  | Some _ -> prerr_string (Printexc.raw_backtrace_to_string backtrace)
  | None ->
      let entries = Printexc.raw_backtrace_entries backtrace in
      let n = Array.length entries in
      let frames = Bytes.create (8 * n) in
      (* An entry is the address of a frame descriptor, tagged as an integer. *)
      let address (entry : Printexc.raw_backtrace_entry) =
        Int64.shift_left (Int64.of_int (entry :> int)) 1
      in
      Array.iteri (fun i entry -> Bytes.set_int64_ne frames (8 * i) (address entry)) entries;
      flush stderr;
      ignore (Abi.exception_frames frames n : int)

let report ~what exn backtrace =
  flush stdout;
  (match exn with
  | Setup.Unavailable message ->
      prerr_endline ("error: " ^ message);
      ignore (Abi.exit 1 : int)
  | _ ->
      let message = Printf.sprintf "uncaught OCaml exception%s: %s" what (Printexc.to_string exn) in
      print backtrace;
      flush stderr;
      ignore (Abi.crash message (String.length message) : int));
  assert false

let install () =
  Printexc.record_backtrace true;
  Printexc.set_uncaught_exception_handler (report ~what:"");
  Lwt.async_exception_hook :=
    fun exn -> report ~what:" in Lwt.async" exn (Printexc.get_raw_backtrace ())
