(* The numbers of Rust's log::Level. *)
let number = function
  | Logs.App -> 3
  | Logs.Error -> 1
  | Logs.Warning -> 2
  | Logs.Info -> 3
  | Logs.Debug -> 4

let reporter () =
  let report src level ~over k msgf =
    let finish _ =
      let text = Format.flush_str_formatter () and src = Logs.Src.name src in
      flush stdout;
      let forced = if level = Logs.App then Header.log_always else 0 in
      ignore
        (Abi.log (number level lor forced) src (String.length src) text (String.length text) : int);
      over ();
      k ()
    in
    msgf (fun ?header ?tags fmt ->
        let ppf = Format.str_formatter in
        Option.iter (Format.fprintf ppf "[%s] ") header;
        (match tags with
        | Some tags when not (Logs.Tag.is_empty tags) ->
            Format.fprintf ppf "%a " Logs.Tag.pp_set tags
        | _ -> ());
        Format.kfprintf finish ppf fmt)
  in
  { Logs.report }

let told = ref None

let tell level =
  told := Some level;
  ignore (Abi.log_set_level (match level with None -> 0 | Some l -> number l) : int)

let set_level level =
  Logs.set_level ~all:true level;
  tell level

let follow () =
  let level = Logs.level () in
  if !told <> Some level then tell level

let install () =
  Logs.set_reporter (reporter ());
  set_level (Some Logs.Info)
