(* Every kept input once more: the corpus, and what has been found with it. *)

let digits line =
  let line = String.trim (List.hd (String.split_on_char '#' line)) in
  let byte i = Char.chr (int_of_string ("0x" ^ String.sub line (2 * i) 2)) in
  if line = "" then None else Some (String.init (String.length line / 2) byte)

let inputs kind name =
  let file = Printf.sprintf "../%s/%s" kind name in
  if Sys.file_exists file then
    List.filter_map digits (In_channel.with_open_text file In_channel.input_lines)
  else []

let hex s =
  String.concat ""
    (List.map (Printf.sprintf "%02x") (List.map Char.code (List.of_seq (String.to_seq s))))

let replay (name, target) =
  let corpus = inputs "corpus" name and found = inputs "found" name in
  if corpus = [] then failwith (name ^ " has no corpus");
  let try_one input =
    try target input
    with e ->
      Printf.printf "%s: %s on\n%s\n" name (Printexc.to_string e) (hex input);
      exit 1
  in
  List.iter try_one (corpus @ found);
  Printf.printf "%s: %d inputs\n" name (List.length corpus + List.length found)

let () = List.iter replay Targets.all
