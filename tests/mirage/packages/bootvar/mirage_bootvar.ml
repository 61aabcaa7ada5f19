(* Mirage's knows quotes as well. *)
let argv () =
  let words = String.split_on_char ' ' (Mirage_bootvar_backend.cmd_line ()) in
  Array.of_list ("mirage" :: List.filter (fun word -> word <> "") words)
