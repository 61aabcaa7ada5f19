(* Object files of x86-64, read and changed in place. *)

exception Unknown of string

let unknown format = Printf.ksprintf (fun message -> raise (Unknown message)) format
let u16 = Bytes.get_uint16_le
let u32 b at = Int32.to_int (Bytes.get_int32_le b at) land 0xffff_ffff
let i32 b at = Int32.to_int (Bytes.get_int32_le b at)
let u64 b at = Int64.to_int (Bytes.get_int64_le b at)
let set_u32 b at v = Bytes.set_int32_le b at (Int32.of_int v)
let set_u64 b at v = Bytes.set_int64_le b at (Int64.of_int v)
let up n align = (n + align - 1) / align * align

let c_string b at =
  match Bytes.index_from_opt b at '\000' with
  | Some stop -> Bytes.sub_string b at (stop - at)
  | None -> unknown "a string without an end"

let starts prefix s = String.starts_with ~prefix s

(* The object, and where its headers say things are. *)

type section = {
  header : int;
  name : string;
  kind : int;
  offset : int;
  size : int;
  align : int;
  info : int;
}

let sht_rela = 4

type elf = { file : Bytes.t; sections : section array }

let read_elf file =
  if Bytes.length file < 64 || Bytes.sub_string file 0 6 <> "\127ELF\002\001" || u16 file 18 <> 62
  then unknown "it is no ELF for x86-64";
  let table = u64 file 40 and count = u16 file 60 and names = u16 file 62 in
  if u16 file 16 <> 1 || count = 0 || names = 0xffff then
    unknown "it is no object, or has too many sections";
  let names = u64 file (table + (64 * names) + 24) in
  let section i =
    let h = table + (64 * i) in
    {
      header = h;
      name = c_string file (names + u32 file h);
      kind = u32 file (h + 4);
      offset = u64 file (h + 24);
      size = u64 file (h + 32);
      info = u32 file (h + 44);
      align = u64 file (h + 48);
    }
  in
  { file; sections = Array.init count section }

let find elf name =
  let found = ref None in
  Array.iteri
    (fun i s ->
      if s.name = name then
        match !found with Some _ -> unknown "two sections %s" name | None -> found := Some (i, s))
    elf.sections;
  match !found with Some found -> found | None -> unknown "no section %s" name

let content elf s = Bytes.sub elf.file s.offset s.size

(* The [size] bytes from [at] on without those of [cuts], which are in order and counted from [at]. *)
let without cuts b ~at ~size =
  let out = Buffer.create size in
  let keep from stop = Buffer.add_subbytes out b (at + from) (stop - from) in
  let rest from (first, stop) =
    keep from first;
    stop
  in
  keep (List.fold_left rest 0 cuts) size;
  Buffer.to_bytes out

(* Symbols and relocations, as places in the file: both kinds of entry have 24 bytes. *)

let entries s = Seq.init (s.size / 24) (fun i -> s.offset + (24 * i))

type reloc = { at : int; symbol : int; how : int; addend : int }

let reloc b at =
  { at = u64 b at; symbol = u32 b (at + 12); how = u32 b (at + 8); addend = u64 b (at + 16) }

let set_reloc b at r =
  set_u64 b at r.at;
  set_u32 b (at + 8) r.how;
  set_u32 b (at + 12) r.symbol;
  set_u64 b (at + 16) r.addend

let r_none = 0
let r_64 = 1
let r_pc32 = 2
let r_32 = 10
let r_32s = 11

(* Makes one say nothing. *)
let forget elf ~now_at place =
  set_reloc elf.file place { at = now_at; symbol = 0; how = r_none; addend = 0 }

let is_text (s : section) = starts ".text" s.name

(* Relocations of what is loaded, but for unwind tables: the section that they are in, and their place in the file. *)
let each_reloc elf f =
  Array.iter
    (fun (s : section) ->
      if s.kind = sht_rela then
        let target = elf.sections.(s.info) in
        let flags = u64 elf.file (target.header + 8) in
        if flags land 2 <> 0 && target.name <> ".eh_frame" then
          Seq.iter (fun place -> f s.info target place (reloc elf.file place)) (entries s))
    elf.sections

type symbol = { label : string; section : int; value : int; is_section : bool; is_local : bool }

let read_symbols elf =
  let _, symtab = find elf ".symtab" and _, strtab = find elf ".strtab" in
  let symbol at =
    {
      label = c_string elf.file (strtab.offset + u32 elf.file at);
      section = u16 elf.file (at + 6);
      value = u64 elf.file (at + 8);
      is_section = u16 elf.file (at + 4) land 15 = 3;
      is_local = Bytes.get_uint8 elf.file (at + 4) lsr 4 = 0;
    }
  in
  Array.of_seq (Seq.map symbol (entries symtab))

(* [camlFoo...], not the runtime's own [caml_foo]. *)
let of_module label =
  String.length label > 4 && starts "caml" label && label.[4] >= 'A' && label.[4] <= 'Z'
