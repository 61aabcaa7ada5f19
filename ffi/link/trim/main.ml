(* Takes out of an OCaml object file what an image can do without (README.md):

     main.exe [--locations] OBJECT TRIMMED

   With --locations the source locations stay, and the functions and data that nobody reaches.

   An object that looks in any way unlike what the compiler writes today stays as it is; the message says why. *)

open Elf
open Parts
open Switches
open Unused
open Frames
open Entries
open Unwind

let trim ~locations file =
  let elf = read_elf file in
  let symbols = read_symbols elf in
  let parts = parts_of elf symbols in
  let returns =
    if locations then (
      List.iter (fun p -> p.live <- true) parts.all;
      Hashtbl.create 1)
    else
      let is_return = is_return elf symbols in
      let switches = switches_of elf symbols parts in
      let code, modules, only_put = mark_used elf symbols parts switches ~is_return in
      let returns = unused_returns elf symbols parts ~is_return in
      drop_unused elf symbols parts switches modules only_put ~returns;
      shorten_entries code modules;
      returns
  in
  let unused section at =
    match part_at parts section at with Some p -> not p.live | None -> false
  in
  let unwind = split_unwind elf symbols ~unused in
  if not locations then without_locations elf symbols parts ~returns;
  let replace name bytes =
    let _, s = find elf name in
    Bytes.blit bytes 0 elf.file s.offset (Bytes.length bytes);
    set_u64 elf.file (s.header + 32) (Bytes.length bytes)
  in
  replace ".eh_frame" unwind.frames;
  replace ".rela.eh_frame" unwind.frame_relocs;
  if unwind.debug_relocs = [] then elf.file else add_debug elf unwind

let read name = In_channel.with_open_bin name In_channel.input_all

let () =
  let locations, files =
    match List.tl (Array.to_list Sys.argv) with
    | "--locations" :: files -> (true, files)
    | files -> (false, files)
  in
  match files with
  | [ object_; trimmed ] ->
      let whole = read object_ in
      let out =
        try Bytes.unsafe_to_string (trim ~locations (Bytes.of_string whole)) with
        | Unknown why ->
            prerr_endline ("trim: " ^ object_ ^ " stays as it is: " ^ why);
            whole
        | Invalid_argument _ ->
            prerr_endline ("trim: " ^ object_ ^ " stays as it is: a table ends too early");
            whole
      in
      Out_channel.with_open_bin trimmed (fun channel -> output_string channel out)
  | _ ->
      prerr_endline "usage: main.exe [--locations] OBJECT TRIMMED";
      exit 2
