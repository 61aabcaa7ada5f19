(* OCaml's frame tables, and the source locations in them. *)

open Elf
open Parts

(* Frame tables: a 64-bit count, and for each return address a descriptor (`runtime/caml/stack.h`). *)

type tables = {
  (* Where the field with a return address was and is, both before anything is cut. *)
  moved : (int, int) Hashtbl.t;
  (* What is cut out of .data: start and end, in order. *)
  cuts : (int * int) list;
}

(* Compacts one table in place; gives the end of what it needs now, and of what it had. Descriptors stay for which
   [keep] is true, of the place of their return address. *)
let compact data moved ~keep start =
  let last = ref start in
  let reach n =
    if n > Bytes.length data then unknown "a frame table beyond its section"
    else last := max !last n
  in
  let location at =
    let distance = i32 data at in
    if distance <> 0 then
      let rec chain info =
        let word = u32 data info in
        let name = info + (word land 0x3fffffc) in
        reach (name + 4 + String.length (c_string data (name + 4)) + 1);
        let file = name + i32 data name in
        reach (file + String.length (c_string data file) + 1);
        reach (info + 8);
        if word land 1 <> 0 then chain (info + 8)
      in
      chain (at + distance)
  in
  let rec descriptor left kept_so_far from into =
    if left = 0 then (kept_so_far, into)
    else
      let size = u16 data (from + 8) and live = u16 data (from + 10) in
      let special = size = 0xffff in
      let lengths = 12 + (2 * live) in
      let allocations =
        if (not special) && size land 2 <> 0 then Some (Bytes.get_uint8 data (from + lengths))
        else None
      in
      let needed = lengths + match allocations with Some n -> 1 + n | None -> 0 in
      let stop =
        if special || size land 1 = 0 then from + needed
        else
          let words = up (from + needed) 4 in
          let count = Option.value allocations ~default:1 in
          for i = 0 to count - 1 do
            location (words + (4 * i))
          done;
          words + (4 * count)
      in
      let stop = up stop 8 in
      reach stop;
      if keep from then (
        Hashtbl.replace moved from into;
        Bytes.blit data from data into needed;
        if not special then Bytes.set_uint16_le data (into + 8) (size land lnot 1);
        let next = up (into + needed) 8 in
        Bytes.fill data (into + needed) (next - into - needed) '\000';
        descriptor (left - 1) (kept_so_far + 1) stop next)
      else descriptor (left - 1) kept_so_far stop into
  in
  if start land 7 <> 0 then unknown "a frame table that is not aligned";
  let count, stop = descriptor (u64 data start) 0 (start + 8) (start + 8) in
  set_u64 data start count;
  (stop, !last)

let is_frametable index s =
  s.section = index && starts "caml" s.label
  && String.ends_with ~suffix:"frametable" s.label
  && s.label <> "caml_frametable"

let compact_all ?(keep = fun _ -> true) data symbols index align =
  let moved = Hashtbl.create 4096 in
  let starts =
    Array.to_list symbols |> List.filter (is_frametable index) |> List.map (fun s -> s.value)
  in
  let cut start =
    let stop, last = compact data moved ~keep start in
    (stop, stop + ((last - stop) / align * align))
  in
  { moved; cuts = List.filter (fun (a, b) -> a < b) (List.map cut (List.sort compare starts)) }

(* Whether a place in .data is that of a return address. *)
let is_return elf symbols =
  let index, data = find elf ".data" in
  Hashtbl.mem (compact_all (content elf data) symbols index 8).moved

(* Where something in .data is after the cuts. *)
let place cuts =
  let cuts = Array.of_list cuts in
  let before = Array.make (Array.length cuts + 1) 0 in
  Array.iteri (fun i (a, b) -> before.(i + 1) <- before.(i) + b - a) cuts;
  fun at ->
    (* The number of cuts that begin before [at]. *)
    let rec search low high =
      if low = high then low
      else
        let middle = (low + high) / 2 in
        if fst cuts.(middle) < at then search (middle + 1) high else search low middle
    in
    let n = search 0 (Array.length cuts) in
    if n > 0 && at < snd cuts.(n - 1) then Error (snd cuts.(n - 1)) else Ok (at - before.(n))

(* The same cuts, a few bytes less, so that data behind a module's own moves by a multiple of [align]: C's may rely on
   its alignment. [starts]: where the modules' data begins, in order. *)
let keep_alignment ~align starts cuts =
  (* [excess] bytes are given back, by the last cuts first. *)
  let rec give_back excess = function
    | cuts when excess = 0 -> cuts
    | (a, b) :: before when b - a > excess -> (a, b - excess) :: before
    | (a, b) :: before -> give_back (excess - (b - a)) before
    | [] -> []
  in
  let close group =
    give_back (List.fold_left (fun n (a, b) -> n + b - a) 0 group mod align) group
  in
  let rec walk group starts cuts =
    match (starts, cuts) with
    | start :: later, (a, _) :: _ when start <= a -> close group :: walk [] later cuts
    | _, cut :: rest -> walk (cut :: group) starts rest
    | _, [] -> [ close group ]
  in
  List.concat_map List.rev (walk [] starts cuts)

(* Whether a place is before a cut in the same module's data. *)
let before_a_cut starts cuts =
  let rec ends starts cuts =
    match starts with
    | [] -> []
    | start :: later ->
        let mine (a, _) = match later with next :: _ -> a < next | [] -> true in
        let ours, others = List.partition mine cuts in
        (start, List.fold_left (fun last (_, b) -> max last b) start ours) :: ends later others
  in
  let ends = Array.of_list (ends starts cuts) in
  fun at -> match last_from fst ends at with Some (_, last) -> at < last | None -> false

let exactly place what at =
  match place at with Ok at -> at | Error _ -> unknown "%s within what is cut" what

(* The relocations of return addresses, and of all else in .data. *)
let move_relocs elf relocs tables ~keep ~place =
  let returns = ref 0 in
  Seq.iter
    (fun at ->
      let r = reloc elf.file at in
      match Hashtbl.find_opt tables.moved r.at with
      | _ when r.how = r_none || not (keep r.at) -> forget elf at ~now_at:0
      | Some _ when r.how <> r_64 -> unknown "a return address of another kind"
      | Some into ->
          incr returns;
          set_reloc elf.file at { r with at = exactly place "a return address" into }
      | None -> set_reloc elf.file at { r with at = exactly place "a relocation" r.at })
    (entries relocs);
  if !returns <> Hashtbl.length tables.moved then unknown "a return address without relocation"

(* What is behind a symbol has to move by as much as the symbol. *)
let check_distance (s : symbol) r ~place =
  let at = target_of s r in
  if at > s.value then
    match (place s.value, place at) with
    | Ok now, Ok there when there - now = at - s.value -> ()
    | _ -> unknown "a reference to what is behind %s" s.label

(* An operand of an instruction is counted from the instruction's end, up to 16 bytes on. *)
let moved_addend r ~place =
  match place r.addend with
  | Ok at -> at
  | Error stop when r.how <> r_64 && stop - r.addend <= 16 ->
      exactly place "a target" stop - (stop - r.addend)
  | Error _ -> unknown "a reference to source locations"

(* What refers to the section [index], .data. *)
let move_references elf symbols parts index ~starts ~cuts ~place =
  (* C's code may count from a place before its own data, which moves by less where that is another unit's. *)
  let before_a_cut = before_a_cut starts cuts in
  let check_code home index r =
    let ocaml's = Elf.starts ".text.caml." home.name || part_at parts index r.at <> None in
    if (not ocaml's) && before_a_cut (target_of symbols.(r.symbol) r + 4) then
      unknown "C's code counts from a place in OCaml's data"
  in
  let move (s : section) at =
    let home = elf.sections.(s.info) in
    let r = reloc elf.file at in
    let symbol = symbols.(r.symbol) in
    if r.how <> r_none && symbol.section = index then
      if symbol.is_section then (
        if is_text home then check_code home s.info r;
        set_reloc elf.file at { r with addend = moved_addend r ~place })
      else if u64 elf.file (home.header + 8) land 2 <> 0 then
        (* It is loaded. *)
        check_distance symbol r ~place
  in
  Array.iter
    (fun (s : section) -> if s.kind = sht_rela then Seq.iter (move s) (entries s))
    elf.sections

let move_symbols elf symbols parts index ~place =
  let _, symtab = find elf ".symtab" in
  Seq.iteri
    (fun i at ->
      let s = symbols.(i) in
      if s.section = index && not s.is_section then
        match place s.value with
        | Ok now -> set_u64 elf.file (at + 8) now
        | Error stop when part_at parts index s.value <> None ->
            set_u64 elf.file (at + 8) (exactly place s.label stop)
        | Error _ -> unknown "%s within what is cut" s.label)
    (entries symtab)

(* Cuts the locations out of .data, and the unused blocks of [parts] and the descriptors of unused [returns], and
   mends everything that refers to what is behind them. *)
let without_locations elf symbols parts ~returns =
  let index, data = find elf ".data" and _, relocs = find elf ".rela.data" in
  let bytes = content elf data in
  let keep at = not (Hashtbl.mem returns at) in
  let tables = compact_all ~keep bytes symbols index (max data.align 8) in
  let blocks = List.filter (fun p -> p.home = index && not p.live) parts.all in
  let unused = List.map (fun p -> (p.first, p.stop)) blocks in
  let begins (s : symbol) = s.section = index && String.ends_with ~suffix:".data_begin" s.label in
  let starts = List.filter begins (Array.to_list symbols) in
  let starts = List.sort compare (List.map (fun (s : symbol) -> s.value) starts) in
  let cuts = keep_alignment ~align:data.align starts (List.sort compare (unused @ tables.cuts)) in
  let place = place cuts in
  move_relocs elf relocs tables ~keep ~place;
  move_references elf symbols parts index ~starts ~cuts ~place;
  move_symbols elf symbols parts index ~place;
  let left = without cuts bytes ~at:0 ~size:data.size in
  Bytes.blit left 0 elf.file data.offset (Bytes.length left);
  set_u64 elf.file (data.header + 32) (Bytes.length left)
