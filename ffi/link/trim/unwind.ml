(* The unwind tables of functions written in OCaml, which become gdb's alone. *)

open Elf
open Frames

(* Return addresses that have a descriptor, by section. *)
let returns elf symbols =
  let index, data = find elf ".data" and _, relocs = find elf ".rela.data" in
  let { moved; _ } = compact_all (content elf data) symbols index 8 in
  let by_section = Hashtbl.create 256 in
  Seq.iter
    (fun at ->
      let r = reloc elf.file at in
      if Hashtbl.mem moved r.at then
        let s = symbols.(r.symbol) in
        Hashtbl.add by_section s.section (s.value + r.addend))
    (entries relocs);
  fun section start stop ->
    List.exists (fun at -> start < at && at <= stop) (Hashtbl.find_all by_section section)

(* Whether the code at a place was written in OCaml. *)
let in_ocaml elf symbols =
  let marks = Hashtbl.create 64 in
  Array.iter
    (fun (s : symbol) ->
      if of_module s.label && String.ends_with ~suffix:"code_begin" s.label then
        let base = String.sub s.label 0 (String.length s.label - 5) in
        Hashtbl.replace marks base (s.section, s.value))
    symbols;
  let ranges = ref [] in
  Array.iter
    (fun (s : symbol) ->
      if of_module s.label && String.ends_with ~suffix:"code_end" s.label then
        match Hashtbl.find_opt marks (String.sub s.label 0 (String.length s.label - 3)) with
        | Some (section, start) when section = s.section ->
            ranges := (section, start, s.value) :: !ranges
        | _ -> ())
    symbols;
  let prefix = ".text.caml." in
  let skip = String.length prefix in
  fun section at ->
    section > 0
    && section < Array.length elf.sections
    &&
    let name = elf.sections.(section).name in
    (starts prefix name && of_module (String.sub name skip (String.length name - skip)))
    || List.exists (fun (s, a, b) -> s = section && a <= at && at < b) !ranges

(* Whether a function calls C that is not the runtime's. A [@@noalloc] call to it has no return address in the
   frame tables, and runs on C's stack. *)
let calls_c elf symbols =
  let by_section = Hashtbl.create 256 in
  Array.iter
    (fun (s : section) ->
      if s.kind = sht_rela && starts ".rela.text" s.name then
        Seq.iter
          (fun at ->
            let r = reloc elf.file at in
            let called = symbols.(r.symbol) in
            if not (called.is_section || starts "caml" called.label) then
              Hashtbl.add by_section s.info r.at)
          (entries s))
    elf.sections;
  fun section start stop ->
    List.exists (fun at -> start <= at && at < stop) (Hashtbl.find_all by_section section)

(* What a CIE of OCaml's code says before its instructions: no language, code and data in units of 1 and -8
   bytes, return address in column 16, addresses relative and of 32 bits. *)
let ocaml_cie = "\000\000\000\000\001zR\000\001\x78\016\001\x1b"

type unwind = {
  frames : Bytes.t;
  frame_relocs : Bytes.t;
  debug : Bytes.t;
  debug_relocs : (int * reloc) list;
}

(* What stays in .eh_frame. *)
type kept = {
  out : Buffer.t;
  out_relocs : Buffer.t;
  copied : (int, int) Hashtbl.t;  (** Where the CIEs are now. *)
  mutable distances : (int * int) list;  (** How far each entry is from its own. *)
}

let copy kept b by_place at size =
  let into = Buffer.length kept.out in
  Buffer.add_subbytes kept.out b at size;
  for i = at to at + size - 1 do
    Option.iter
      (fun r ->
        let entry = Bytes.create 24 in
        set_reloc entry 0 { r with at = into + i - at };
        Buffer.add_bytes kept.out_relocs entry)
      (Hashtbl.find_opt by_place i)
  done;
  into

let keep kept b by_place ~cie at size =
  let cie =
    match Hashtbl.find_opt kept.copied cie with
    | Some into -> into
    | None ->
        let into = copy kept b by_place cie (4 + u32 b cie) in
        Hashtbl.replace kept.copied cie into;
        into
  in
  let into = copy kept b by_place at size in
  kept.distances <- (into + 4, into + 4 - cie) :: kept.distances

(* Gdb's part. *)
type moved = {
  part : Buffer.t;
  mutable part_relocs : (int * reloc) list;
  mutable cie_in_part : Bytes.t option;
}

let debug_entry moved first parts =
  let size = up (4 + 4 + List.fold_left (fun n p -> n + String.length p) 0 parts) 8 in
  let at = Buffer.length moved.part in
  Buffer.add_int32_le moved.part (Int32.of_int (size - 4));
  Buffer.add_int32_le moved.part (Int32.of_int first);
  List.iter (Buffer.add_string moved.part) parts;
  (* DW_CFA_nop. *)
  Buffer.add_string moved.part (String.make (size - (Buffer.length moved.part - at)) '\000');
  at

let skip = 4 + String.length ocaml_cie

let is_ocaml_cie moved b cie =
  let size = 4 + u32 b cie in
  size >= skip
  && Bytes.sub_string b (cie + 4) (skip - 4) = ocaml_cie
  &&
  match moved.cie_in_part with None -> true | Some seen -> Bytes.equal seen (Bytes.sub b cie size)

let move_to_debug moved b ~cie at size (r : reloc) =
  if moved.cie_in_part = None then (
    let cie_size = 4 + u32 b cie in
    let instructions = Bytes.sub_string b (cie + skip) (cie_size - skip) in
    ignore (debug_entry moved (-1) [ "\001\000\001\x78\016"; instructions ]);
    moved.cie_in_part <- Some (Bytes.sub b cie cie_size));
  let range = Bytes.make 8 '\000' in
  set_u32 range 0 (u32 b (at + 12));
  (* The length of the augmentation, 0, is the byte before the instructions. *)
  let instructions = Bytes.sub_string b (at + 17) (size - 17) in
  let into = debug_entry moved 0 [ String.make 8 '\000'; Bytes.to_string range; instructions ] in
  moved.part_relocs <- (into, { r with how = r_64; at = into + 8 }) :: moved.part_relocs

let by_place elf relocs =
  let table = Hashtbl.create 4096 in
  Seq.iter
    (fun at ->
      let r = reloc elf.file at in
      Hashtbl.replace table r.at r)
    (entries relocs);
  table

(* Calls [f ~cie at size] for each entry of a function. *)
let each_entry b size f =
  let rec walk at =
    if at < size then (
      let length = u32 b at in
      if length >= 0xffff_fff0 then unknown "an unwind table of 64 bits";
      let id = if length = 0 then 0 else u32 b (at + 4) in
      if length > 0 && id <> 0 then f ~cie:(at + 4 - id) at (4 + length);
      walk (at + 4 + length))
  in
  walk 0

(* Divides .eh_frame into what stays and gdb's part; [unused]: functions that have neither. *)
let split_unwind elf symbols ~unused =
  let _, frames = find elf ".eh_frame" and _, relocs = find elf ".rela.eh_frame" in
  let b = content elf frames and by_place = by_place elf relocs in
  let ocaml = in_ocaml elf symbols
  and returns = returns elf symbols
  and calls_c = calls_c elf symbols in
  let kept =
    {
      out = Buffer.create frames.size;
      out_relocs = Buffer.create relocs.size;
      copied = Hashtbl.create 64;
      distances = [];
    }
  and moved = { part = Buffer.create frames.size; part_relocs = []; cie_in_part = None } in
  let is_for_gdb_alone ~cie at (r : reloc) section start =
    let stop = start + u32 b (at + 12) in
    r.how = r_pc32 && is_ocaml_cie moved b cie && ocaml section start
    && Bytes.get b (at + 16) = '\000'
    && (not (calls_c section start stop))
    && returns section start stop
  in
  each_entry b frames.size (fun ~cie at size ->
      match Hashtbl.find_opt by_place (at + 8) with
      | None -> unknown "an unwind entry without relocation"
      | Some r ->
          let s = symbols.(r.symbol) in
          let start = s.value + r.addend in
          if not (unused s.section start) then
            if is_for_gdb_alone ~cie at r s.section start then move_to_debug moved b ~cie at size r
            else keep kept b by_place ~cie at size);
  let result = Buffer.to_bytes kept.out in
  List.iter (fun (at, distance) -> set_u32 result at distance) kept.distances;
  {
    frames = result;
    frame_relocs = Buffer.to_bytes kept.out_relocs;
    debug = Buffer.to_bytes moved.part;
    debug_relocs = List.rev moved.part_relocs;
  }

(* Adds what gdb reads to the end of the file: a section, its relocations, and a symbol for its start, since an
   entry says where in the section its CIE is. *)
let add_debug elf unwind =
  let symtab_index, symtab = find elf ".symtab" and _, strtab = find elf ".strtab" in
  let file = Buffer.create (Bytes.length elf.file * 5 / 4) in
  Buffer.add_bytes file elf.file;
  let append bytes =
    Buffer.add_string file (String.make (up (Buffer.length file) 8 - Buffer.length file) '\000');
    let at = Buffer.length file in
    Buffer.add_bytes file bytes;
    (at, Bytes.length bytes)
  in
  let named bytes names = Bytes.cat bytes (Bytes.of_string (String.concat "\000" names ^ "\000")) in
  let count = Array.length elf.sections in
  let names_index = u16 elf.file 62 in
  let names = content elf elf.sections.(names_index) and strings = content elf strtab in
  let debug_at = append unwind.debug in
  let symbol = Bytes.make 24 '\000' in
  set_u32 symbol 0 (Bytes.length strings);
  (* Global, no type, hidden. *)
  Bytes.set_uint8 symbol 4 0x10;
  Bytes.set_uint8 symbol 5 2;
  Bytes.set_uint16_le symbol 6 count;
  let symbols_at = append (Bytes.cat (content elf symtab) symbol) in
  let strings_at = append (named strings [ "mirust_ocaml_debug_frame" ]) in
  let names_at = append (named names [ ".debug_frame"; ".rela.debug_frame" ]) in
  let relocs = Bytes.create (48 * List.length unwind.debug_relocs) in
  List.iteri
    (fun i (entry, r) ->
      let cie = { at = entry + 4; symbol = symtab.size / 24; how = r_32; addend = 0 } in
      set_reloc relocs (48 * i) cie;
      set_reloc relocs ((48 * i) + 24) r)
    unwind.debug_relocs;
  let relocs_at = append relocs in
  let headers = Bytes.make (64 * (count + 2)) '\000' in
  Bytes.blit elf.file (u64 elf.file 40) headers 0 (64 * count);
  let resize h (at, size) =
    set_u64 headers (h + 24) at;
    set_u64 headers (h + 32) size
  in
  let header (s : section) = s.header - u64 elf.file 40 in
  resize (header symtab) symbols_at;
  resize (header strtab) strings_at;
  resize (64 * names_index) names_at;
  let add i name kind place ~link ~info ~entry =
    let h = 64 * (count + i) in
    set_u32 headers h name;
    set_u32 headers (h + 4) kind;
    resize h place;
    set_u32 headers (h + 40) link;
    set_u32 headers (h + 44) info;
    set_u64 headers (h + 48) 8;
    set_u64 headers (h + 56) entry
  in
  let name = Bytes.length names in
  add 0 name 1 debug_at ~link:0 ~info:0 ~entry:0;
  add 1
    (name + String.length ".debug_frame" + 1)
    sht_rela relocs_at ~link:symtab_index ~info:count ~entry:24;
  let table, _ = append headers in
  let out = Buffer.to_bytes file in
  set_u64 out 40 table;
  Bytes.set_uint16_le out 60 (count + 2);
  out
