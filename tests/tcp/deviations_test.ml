(* Every row of docs/deviations.md names a script that is there. *)

let failf fmt = Printf.ksprintf failwith fmt

let scripts =
  lazy
    (let table = Hashtbl.create 500 in
     Array.iter
       (fun file ->
         if Filename.check_suffix file ".tcp" then
           let add case =
             let name = List.hd (String.split_on_char ' ' (Script.name case)) in
             Hashtbl.replace table (Filename.chop_suffix file ".tcp" ^ ": " ^ name) ()
           in
           List.iter add (Script.parse ~file:(Filename.concat "scripts" file)))
       (Sys.readdir "scripts");
     table)

(* The cells of a row, without the bars at its ends. *)
let cells line =
  match String.split_on_char '|' line with
  | "" :: rest -> List.filteri (fun i _ -> i < List.length rest - 1) rest |> List.map String.trim
  | _ -> failf "not a row: %s" line

let unquoted s =
  let n = String.length s in
  if n > 2 && s.[0] = '`' && s.[n - 1] = '`' then String.sub s 1 (n - 2) else failf "no test: %s" s

let check line =
  match cells line with
  | [ clause; here; reason; test ] ->
      if clause = "" || here = "" || reason = "" then failf "an empty cell: %s" line;
      if not (Hashtbl.mem (Lazy.force scripts) (unquoted test)) then failf "no such test: %s" test
  | cells -> failf "%d cells: %s" (List.length cells) line

let () =
  let lines = In_channel.with_open_text "../../docs/deviations.md" In_channel.input_lines in
  let rows =
    List.filter
      (fun l ->
        String.starts_with ~prefix:"| " l
        && not (List.exists (fun p -> String.starts_with ~prefix:p l) [ "| Clause"; "| Linux |" ]))
      lines
  in
  if List.length rows < 20 then failf "only %d rows" (List.length rows);
  List.iter check rows;
  Printf.printf "%d deviations, each with its test\n" (List.length rows)
