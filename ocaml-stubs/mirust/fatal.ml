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

(* Running out of memory in one of many independent things, such as a turn's hook or a background promise, costs that
   thing and not the program. It is logged each time that the number of such failures has doubled. *)
let shortages = ref 0

let note_shortage () =
  incr shortages;
  let n = !shortages in
  if n land (n - 1) = 0 then
    try Logs.warn (fun m -> m "out of memory in a turn of the loop (%d times)" n)
    with Out_of_memory -> ()

(* Ends the program, with how much memory there is and how much was asked for after these words. *)
external exhausted : string -> (int[@untagged])
  = "mirust_native_only" "mirust_ocaml_memory_exhausted"

let report what =
  (* Made while there is memory. *)
  let no_memory = what ^ ": Out_of_memory" in
  fun exn backtrace ->
    flush stdout;
    (match exn with
    | Out_of_memory ->
        (try print backtrace with Out_of_memory -> ());
        flush stderr;
        ignore (exhausted no_memory : int)
    | Setup.Unavailable message ->
        prerr_endline ("error: " ^ message);
        ignore (Abi.exit 1 : int)
    | _ ->
        let message = what ^ ": " ^ Printexc.to_string exn in
        print backtrace;
        flush stderr;
        ignore (Abi.crash message (String.length message) : int));
    assert false

let install () =
  Printexc.record_backtrace true;
  Printexc.set_uncaught_exception_handler (report "uncaught OCaml exception");
  let in_async = report "uncaught OCaml exception in Lwt.async" in
  Lwt.async_exception_hook :=
    function
    | Out_of_memory -> note_shortage ()
    | exn -> in_async exn (Printexc.get_raw_backtrace ())
