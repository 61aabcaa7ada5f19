(* The initialisation of modules, shortened. What it fills into a field is mostly a block of static data,
   such as a function's closure. The linker can do that as well, by a relocation in the module's own block, and for a
   field that nobody reads nobody has to. Only code with a section of its own is changed, and only a function that is
   understood from its first instruction to its last. It has no line numbers any more, so the program's own modules are
   left as they are. *)

open Elf
open Parts
open X86
open Fields
open Unused
open Frames

(* Code from [first] to [stop] that fills [owner]'s field at [offset] with what the relocation at [at] says. *)
type step = { first : int; stop : int; at : int; offset : int; block : part }

(* Where the code of such a filling is, from the load of the block on. *)
let step code (part : part) (offset, filling) =
  match filling with
  | From _ | Computed -> None
  | Static { at; block } ->
      let b = code.elf.file and base = code.elf.sections.(part.home).offset in
      let rec call at =
        (* The owner's address, perhaps an addition, and what `filling` has seen. *)
        let i = decode b (base + at) in
        if i.flow = Call then at + i.size
        else if i.flow = On then call (at + i.size)
        else raise Leave
      in
      let stop = call (at - 3) in
      if Bytes.sub_string b (base + stop) 3 = "\x48\x89\xdc" then
        Some { first = at - 3; stop = stop + 3; at; offset; block }
      else None

(* The entry in .eh_frame: its place in the section, and that of its instructions and of its end. *)
type unwind_entry = { entry : int; program : int; finish : int }

let unwind_entry b at =
  let length = u32 b at in
  if Bytes.get b (at + 16) <> '\000' then raise Leave;
  { entry = at; program = at + 17; finish = at + 4 + length }

(* Calls [f] with the place and the size in bits of each distance in a program of call frame instructions. *)
let each_advance b { program; finish; _ } f =
  let rec skip_leb at = if Bytes.get_uint8 b at land 0x80 <> 0 then skip_leb (at + 1) else at + 1 in
  let rec walk at =
    if at < finish then
      match Bytes.get_uint8 b at with
      | 0 | 0x0a | 0x0b -> walk (at + 1)
      | c when c land 0xc0 = 0x40 ->
          f at 6;
          walk (at + 1)
      | c when c land 0xc0 = 0x80 -> walk (skip_leb (at + 1))
      | 2 ->
          f (at + 1) 8;
          walk (at + 2)
      | 3 ->
          f (at + 1) 16;
          walk (at + 3)
      | 4 ->
          f (at + 1) 32;
          walk (at + 5)
      | 0x0d | 0x0e -> walk (skip_leb (at + 1))
      | 0x0c -> walk (skip_leb (skip_leb (at + 1)))
      | _ -> raise Leave
  in
  walk program

let get_bits b at = function
  | 6 -> Bytes.get_uint8 b at land 0x3f
  | 8 -> Bytes.get_uint8 b at
  | 16 -> u16 b at
  | _ -> u32 b at

let set_bits b at v = function
  | 6 -> Bytes.set_uint8 b at (0x40 lor v)
  | 8 -> Bytes.set_uint8 b at v
  | 16 -> Bytes.set_uint16_le b at v
  | _ -> set_u32 b at v

(* Relocations that refer to a section of code from outside of it, by section: the one that they are in, and their
   place in the file. *)
let references elf symbols =
  let found = Hashtbl.create 16384 in
  Array.iter
    (fun (s : section) ->
      if s.kind = sht_rela then
        Seq.iter
          (fun place ->
            let home = (symbols.((reloc elf.file place).symbol) : symbol).section in
            if
              home > 0
              && home < Array.length elf.sections
              && home <> s.info
              && is_text elf.sections.(home)
            then Hashtbl.add found home (s.info, place))
          (entries s))
    elf.sections;
  found

let section_of code (index, _) = code.elf.sections.(index)
let reloc_of code (_, at) = reloc code.elf.file at

let readable =
  [
    ".data";
    ".eh_frame";
    ".debug_line";
    ".debug_aranges";
    ".debug_info";
    ".debug_ranges";
    ".debug_rnglists";
  ]

(* Of what refers to the function from outside of it: Leave if it could not be moved. *)
let check_reference code ~inside reference =
  let r = reloc_of code reference and section = section_of code reference in
  let is_call = is_text section && r.how = r_plt32 in
  if not (List.mem section.name readable || is_call) then raise Leave;
  let target = code.symbols.(r.symbol).value + r.addend in
  if section.name = ".data" && (r.how <> r_64 || inside target) then raise Leave

let move_reference code ~now ~size ((_, at) as reference) =
  let b = code.elf.file and section = section_of code reference in
  let r = reloc b at in
  match section.name with
  | ".debug_line" ->
      (* No lines are better than wrong ones. *)
      forget code.elf at ~now_at:r.at
  | ".debug_aranges" -> set_u64 b (section.offset + r.at + 8) size
  | ".eh_frame" -> ()
  | _ when is_text section -> ()
  | _ ->
      let value = (code.symbols.(r.symbol) : symbol).value in
      set_reloc b at { r with addend = now (value + r.addend) - value }

(* The entry of the unwind tables, of a section with one function. *)
let unwind_of code outside =
  let _, frames = find code.elf ".eh_frame" in
  let is_start r = (code.symbols.(r.symbol) : symbol).value + r.addend = 0 in
  match List.filter (fun reference -> (section_of code reference).name = ".eh_frame") outside with
  | [ reference ] when is_start (reloc_of code reference) ->
      unwind_entry code.elf.file (frames.offset + (reloc_of code reference).at - 8)
  | _ -> raise Leave

let move_advances b unwind ~now ~size =
  let old = ref 0 and written = ref 0 in
  each_advance b unwind (fun at bits ->
      old := !old + get_bits b at bits;
      set_bits b at (now !old - !written) bits;
      written := now !old);
  set_u32 b (unwind.entry + 12) size

let move_jump b (section : section) ~now (at, bytes, from, target) =
  let distance = now target - now from in
  if bytes = 1 then Bytes.set_int8 b (section.offset + at) distance
  else set_u32 b (section.offset + at) distance

let move_relocs elf (part : part) ~inside ~now =
  let move at =
    let r = reloc elf.file at in
    if inside r.at then forget elf at ~now_at:0 else set_reloc elf.file at { r with at = now r.at }
  in
  Array.iter
    (fun (s : section) -> if s.kind = sht_rela && s.info = part.home then Seq.iter move (entries s))
    elf.sections

let resize_symbols code (part : part) size =
  let _, symtab = find code.elf ".symtab" in
  Seq.iteri
    (fun i at ->
      let s : symbol = code.symbols.(i) in
      if s.section = part.home && (not s.is_section) && s.value = 0 then
        set_u64 code.elf.file (at + 16) size)
    (entries symtab)

(* Shortens one function by [steps]; Leave if anything about it is not understood, and then nothing has changed. *)
let shorten code references (part : part) steps =
  let elf = code.elf in
  let b = elf.file and section = elf.sections.(part.home) in
  let cuts = List.map (fun s -> (s.first, s.stop)) (List.sort compare steps) in
  let inside at = List.exists (fun (a, z) -> a < at && at < z) cuts in
  let jumps = List.filter (fun (at, _, _, _) -> not (inside at)) (jumps code part) in
  if List.exists (fun (_, _, from, target) -> inside from || inside target) jumps then raise Leave;
  let place = place cuts in
  (* What is cut is where it was cut. *)
  let now at = match place at with Ok at -> at | Error stop -> Result.get_ok (place stop) in
  let outside = Hashtbl.find_all references part.home in
  List.iter (check_reference code ~inside) outside;
  let unwind = unwind_of code outside in
  each_advance b unwind (fun _ _ -> ());
  (* Nothing is left but to do it. *)
  let size = now section.size in
  move_advances b unwind ~now ~size;
  List.iter (move_jump b section ~now) jumps;
  move_relocs elf part ~inside ~now;
  List.iter (move_reference code ~now ~size) outside;
  let text = without cuts b ~at:section.offset ~size:section.size in
  Bytes.blit text 0 b section.offset size;
  set_u64 b (section.header + 32) size;
  resize_symbols code part size

(* Shortens what it can. The linker's part needs relocations of .data that say nothing any more. *)
let shorten_entries code modules =
  let elf = code.elf in
  let _, relocs = find elf ".rela.data" in
  let free = Seq.filter (fun at -> (reloc elf.file at).how = r_none) (entries relocs) in
  let free = ref (List.of_seq free) in
  let references = references elf code.symbols in
  let owners = Hashtbl.create 256 in
  List.iter
    (fun p -> if Hashtbl.mem modules p.label then Hashtbl.replace owners p.label p)
    code.parts.all;
  let one label fields =
    let once (offset, _) =
      List.length (List.filter (fun (o, _) -> o = offset) fields.fillings) = 1
    in
    match (fields.fillings, Hashtbl.find_opt owners label) with
    | (_, ((part : part), _)) :: _, Some owner
      when part.first = 0
           && elf.sections.(part.home).name <> ".text"
           && not (starts "camlDune__exe" label) ->
        let step (offset, (_, filling)) = step code part (offset, filling) in
        let steps = List.filter_map step (List.filter once fields.fillings) in
        (* By the linker, as far as there is room. *)
        let places = ref !free in
        let room (s : step) =
          match !places with
          | _ when not s.block.live -> Some (s, None)
          | place :: rest ->
              places := rest;
              Some (s, Some (place, Hashtbl.find code.reloc_at (part.home, s.at)))
          | [] -> None
        in
        let steps = List.filter_map room steps in
        (* It costs the function its line numbers. *)
        if steps <> [] then shorten code references part (List.map fst steps);
        free := !places;
        List.iter
          (function
            | (s : step), Some (place, r) ->
                set_reloc elf.file place
                  { r with at = owner.first + 8 + s.offset; how = r_64; addend = 0 }
            | _, None -> ())
          steps
    | _ -> ()
  in
  Hashtbl.iter
    (fun label fields -> try one label fields with Leave | Invalid_argument _ -> ())
    modules
