(* What `mirage configure` has written, made over for this runtime: reads a dune file on standard input and
   writes it anew.

     ocaml mirage.ml LOOP LIBDIR LIBRARY... <dune.build >dune.build

   The executable becomes an object file that has the libraries besides. LOOP says whose loop and network it
   has: `mirage` or `mirust`. LIBDIR is where C libraries are: a partial link looks nowhere by itself, but
   where OCaml looks for its own. What was about Solo5, its manifest and its context, goes. *)

type sexp = Atom of string | List of sexp list

exception Bad of string

(* Comments are dropped; a string stays as it is written, quotes included. *)
let parse text =
  let n = String.length text in
  let rec skip i =
    if i >= n then i
    else
      match text.[i] with
      | ' ' | '\n' | '\t' | '\r' -> skip (i + 1)
      | ';' -> ( match String.index_from_opt text i '\n' with Some j -> skip j | None -> n)
      | _ -> i
  in
  let rec quoted i =
    if i >= n then raise (Bad "a string has no end")
    else match text.[i] with '"' -> i + 1 | '\\' -> quoted (i + 2) | _ -> quoted (i + 1)
  in
  let rec word i = if i >= n || String.contains " \n\t\r();\"" text.[i] then i else word (i + 1) in
  let rec items i acc =
    let i = skip i in
    if i >= n || text.[i] = ')' then (List.rev acc, i)
    else
      let item, i = one i in
      items i (item :: acc)
  and one i =
    match text.[i] with
    | '(' ->
        let inside, j = items (i + 1) [] in
        if j >= n then raise (Bad "a parenthesis is not closed");
        (List inside, j + 1)
    | '"' ->
        let j = quoted (i + 1) in
        (Atom (String.sub text i (j - i)), j)
    | _ ->
        let j = word i in
        (Atom (String.sub text i (j - i)), j)
  in
  let all, i = items 0 [] in
  if i < n then raise (Bad "a parenthesis too many");
  all

let rec print ppf = function
  | Atom a -> Format.pp_print_string ppf a
  | List l ->
      Format.fprintf ppf "@[<hov 1>(%a)@]"
        (Format.pp_print_list ~pp_sep:Format.pp_print_space print)
        l

let rec mentions word = function Atom a -> a = word | List l -> List.exists (mentions word) l

(* Implementations of Mirage's virtual libraries. Clocks are ours in any case: Mirage's own of the wall
   clock has none outside of its context. *)
let replaced loop = function
  | "mirage-mtime.solo5" | "mirage-mtime.unix" -> "mirage-mirust.mtime"
  | "mirage-ptime.solo5" | "mirage-ptime.unix" -> "mirage-mirust.ptime"
  | ("mirage-sleep.solo5" | "mirage-sleep.unix") when loop = "mirust" -> "mirage-mirust.sleep"
  | ("mirage-bootvar.xen" | "mirage-bootvar.solo5" | "mirage-bootvar.unix") when loop = "mirust" ->
      "mirage-mirust.bootvar"
  | other -> other

let executable loop libdir libraries fields =
  let field = function
    | List (Atom ("enabled_if" | "foreign_stubs" | "link_flags") :: _) -> None
    | List (Atom "modes" :: _) -> Some (List [ Atom "modes"; Atom "object" ])
    | List (Atom "libraries" :: given) ->
        let given =
          List.map (function Atom a -> Atom (replaced loop a) | List _ as select -> select) given
        in
        let more = List.filter (fun l -> not (List.mem (Atom l) given)) libraries in
        (* The runtime's own are initialised first, so that what goes wrong in another's initialisation is reported. *)
        let ours, others = List.partition (String.starts_with ~prefix:"mirust") more in
        let atoms = List.map (fun l -> Atom l) in
        Some (List ((Atom "libraries" :: atoms ours) @ given @ atoms others))
    | other -> Some other
  in
  let link_flags = List [ Atom "link_flags"; List [ Atom "-I"; Atom libdir ] ] in
  List ((Atom "executable" :: List.filter_map field fields) @ [ link_flags ])

let stanza loop libdir libraries = function
  | List (Atom "executable" :: fields) when mentions "main" (List fields) ->
      Some (executable loop libdir libraries fields)
  | List (Atom "rule" :: _) as rule
    when List.exists (fun word -> mentions word rule) [ "main.exe"; "solo5-elftool" ] ->
      None
  | List
      [ Atom ("copy_files" | "copy_files#"); Atom ("./mirage/manifest.json" | "./mirage/main.ml") ]
    ->
      None
  | other -> Some other

let () =
  match Array.to_list Sys.argv with
  | _ :: loop :: libdir :: libraries -> (
      match parse (In_channel.input_all stdin) with
      | stanzas ->
          let stanzas = List.filter_map (stanza loop libdir libraries) stanzas in
          if not (List.exists (mentions "executable") stanzas) then (
            prerr_endline "there is no executable in dune.build";
            exit 1);
          List.iter (Format.printf "%a@." print) stanzas
      | exception Bad what ->
          prerr_endline ("dune.build: " ^ what);
          exit 1)
  | _ ->
      prerr_endline "usage: ocaml mirage.ml LOOP LIBDIR LIBRARY... <dune.build";
      exit 2
