(* The list of mutants that need no test names what is there, and the rewriter does what it says. *)

let failf fmt = Printf.ksprintf failwith fmt

let () =
  let text = "let f c = (* a && b *)\n  if c.a && \"x || y\" <> \"\" then c.state <- Closing\n" in
  let sites = Site.all ~file:"f.ml" text in
  let froms = List.map (fun (s : Site.t) -> s.from) sites in
  if froms <> [ " && "; " <> "; "c.state <- Closing"; "c.state <- Closing" ] then
    failf "sites: %s" (String.concat ", " froms);
  let mutant = Site.apply (List.hd sites) text in
  if mutant <> "let f c = (* a && b *)\n  if c.a || \"x || y\" <> \"\" then c.state <- Closing\n"
  then failf "mutant: %s" mutant

let () =
  let read f = In_channel.with_open_bin f In_channel.input_all in
  let folder = "../../../ocaml-stubs/net/tcp" in
  let names = Hashtbl.create 1000 in
  Array.iter
    (fun f ->
      if Filename.check_suffix f ".ml" then
        List.iter
          (fun s -> Hashtbl.replace names (Site.name s) ())
          (Site.all ~file:f (read (Filename.concat folder f))))
    (Sys.readdir folder);
  let known = Equivalent.parse (read "equivalent.txt") in
  List.iter
    (fun (e : Equivalent.t) ->
      if not (Hashtbl.mem names e.name) then
        failf "equivalent.txt names what is not there: %s" e.name)
    known;
  Printf.printf "%d places, %d explained\n" (Hashtbl.length names) (List.length known)
