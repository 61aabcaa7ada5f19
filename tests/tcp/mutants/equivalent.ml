type t = { reason : string; name : string }

let parse text =
  let add (reason, fresh, found) line =
    match String.trim line with
    | "" -> ("", true, found)
    | l when l.[0] = '#' ->
        let words = String.trim (String.sub l 1 (String.length l - 1)) in
        ((if fresh then words else reason ^ " " ^ words), false, found)
    | name ->
        if reason = "" then failwith ("no reason for " ^ name);
        (reason, false, { reason; name } :: found)
  in
  let _, _, found = List.fold_left add ("", true, []) (String.split_on_char '\n' text) in
  List.rev found
