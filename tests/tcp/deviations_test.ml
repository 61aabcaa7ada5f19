(* Every row of docs/deviations.md names a test that is there: a script, or a case of tests/net. *)

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
     Array.iter
       (fun file ->
         if String.starts_with ~prefix:"test_" file && Filename.check_suffix file ".ml" then
           let name = String.sub file 5 (String.length file - 8) in
           let add line =
             match String.split_on_char '"' line with
             | before :: case :: _ when String.trim before = "case" ->
                 Hashtbl.replace table (name ^ ": " ^ case) ()
             | [] | _ :: _ -> ()
           in
           let text =
             In_channel.with_open_text (Filename.concat "../net" file) In_channel.input_all
           in
           List.iter add (String.split_on_char '\n' text))
       (Sys.readdir "../net");
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
        && not
             (List.exists
                (fun p -> String.starts_with ~prefix:p l)
                [ "| Clause"; "| Linux |"; "| FreeBSD |" ]))
      lines
  in
  if List.length rows < 20 then failf "only %d rows" (List.length rows);
  List.iter check rows;
  Printf.printf "%d deviations, each with its test\n" (List.length rows)
