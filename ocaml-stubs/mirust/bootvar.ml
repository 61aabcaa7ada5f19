open Cmdliner

let argv () = Sys.argv

let cmdline () =
  let length = Abi.cmdline Bytes.empty 0 in
  let b = Bytes.create length in
  ignore (Abi.cmdline b length : int);
  Bytes.unsafe_to_string b

let logs =
  let levels =
    [
      ("quiet", None);
      ("error", Some Logs.Error);
      ("warning", Some Logs.Warning);
      ("info", Some Logs.Info);
      ("debug", Some Logs.Debug);
    ]
  in
  let doc = Printf.sprintf "What is logged, in both languages: %s." (Arg.doc_alts_enum levels) in
  Arg.(
    value
    & opt (enum levels) (Some Logs.Info)
    & info [ "l"; "logs" ] ~docv:"LEVEL" ~doc ~docs:Manpage.s_common_options)

let number ~least ~most =
  let is_digit c = '0' <= c && c <= '9' in
  let parse s =
    match if String.for_all is_digit s then int_of_string_opt s else None with
    | Some n when n >= least && n <= most -> Ok n
    | Some _ | None -> Error (`Msg (Printf.sprintf "%S is not a number from %d to %d" s least most))
  in
  Arg.conv ~docv:"N" (parse, Format.pp_print_int)

let eval ?doc ~argv term =
  let name = if Array.length argv > 0 then Filename.basename argv.(0) else "mirust" in
  let errors = Buffer.create 80 in
  let err = Format.formatter_of_buffer errors in
  let result = Cmd.eval_value ~err ~argv (Cmd.v (Cmd.info name ?doc) term) in
  Format.pp_print_flush err ();
  match result with
  | Ok (`Ok v) -> Ok v
  | Ok (`Help | `Version) -> Error `Help
  | Error _ -> Error (`Error (Buffer.contents errors))

(* [Open] has the terms that were registered, beside {!logs}. *)
type state = Open of unit Term.t list | Closed | Delegated of (unit Term.t -> unit)

let state = ref (Open [])

let close () =
  match !state with
  | Closed | Delegated _ -> ()
  | Open terms -> (
      state := Closed;
      let both term rest = Term.(const (fun () () -> ()) $ rest $ term) in
      let logs = Term.(const Log.set_level $ logs) in
      match eval ~argv:(argv ()) (List.fold_right both terms logs) with
      | Ok () -> ()
      | Error `Help -> exit 0
      | Error (`Error message) ->
          prerr_string message;
          exit 64)

let () = Setup.at_start := close :: !Setup.at_start

let delegate parser =
  match !state with
  | Closed -> invalid_arg "Mirust.Bootvar.delegate: the parameters were already evaluated"
  | Delegated _ -> invalid_arg "Mirust.Bootvar.delegate: another library evaluates them already"
  | Open terms ->
      state := Delegated parser;
      List.iter parser (List.rev terms)

let register term =
  let value = ref None in
  let term = Term.(const (fun v -> value := Some v) $ term) in
  (match !state with
  | Closed -> invalid_arg "Mirust.Bootvar.register: the parameters were already evaluated"
  | Open terms -> state := Open (term :: terms)
  | Delegated parser -> parser term);
  fun () ->
    close ();
    match !value with
    | Some v -> v
    | None -> invalid_arg "Mirust.Bootvar: the parameters are not evaluated yet"
