(* The tables of switches. The code of a switch loads the address of its table and adds to it what it finds
   there, the distance from the table's start to where it continues. The assembler writes each entry as a relocation
   that counts from the entry, so what an entry refers to can be said only if one knows where its table starts. *)

open Elf
open Parts

type switches = {
  starts : (int, int array) Hashtbl.t;  (** By section of constants, in order. *)
  loads : (int * int, part option) Hashtbl.t;
      (** By section and start: the function that loads this address, or none that is OCaml's. *)
}

let is_constants (s : section) = starts ".rodata" s.name

(* Every place among the constants that anything refers to starts something, be it a table or not. *)
let switches_of elf symbols parts =
  let loads = Hashtbl.create 1024 in
  each_reloc elf (fun index section _ r ->
      let s : symbol = symbols.(r.symbol) in
      let known = s.section > 0 && s.section < Array.length elf.sections in
      if known && is_constants elf.sections.(s.section) then
        (* lea TABLE(%rip), REGISTER *)
        let is_lea = r.at >= 2 && Bytes.get_uint8 elf.file (section.offset + r.at - 2) = 0x8d in
        let owner =
          if is_text section && r.how = r_pc32 && is_lea then part_at parts index r.at else None
        in
        Hashtbl.add loads (s.section, target_of s r) owner);
  let starts = Hashtbl.create 16 in
  Hashtbl.iter
    (fun (section, at) _ ->
      Hashtbl.replace starts section
        (at :: Option.value (Hashtbl.find_opt starts section) ~default:[]))
    loads;
  let in_order (section, starts) = (section, Array.of_list (List.sort_uniq compare starts)) in
  { starts = Hashtbl.of_seq (Seq.map in_order (Hashtbl.to_seq starts)); loads }

(* Whether a function loads the address of anything among the constants. *)
let owners switches =
  let found = Hashtbl.create 256 in
  Hashtbl.iter
    (fun _ owner ->
      Option.iter (fun (p : part) -> Hashtbl.replace found (p.home, p.first) ()) owner)
    switches.loads;
  fun (p : part) -> Hashtbl.mem found (p.home, p.first)

(* What an entry among the constants may refer to. *)
type entry =
  | Within of part  (** It is of a table of this function's, and says how to go on in it. *)
  | To of part list  (** Anything else: these must stay. *)

let entry switches parts symbols index r =
  let s : symbol = symbols.(r.symbol) in
  let before =
    match Hashtbl.find_opt switches.starts index with
    | None -> None
    | Some starts -> last_from Fun.id starts r.at
  in
  let owner start =
    match Hashtbl.find_all switches.loads (index, start) with
    | Some p :: others when List.for_all (function Some q -> q == p | None -> false) others ->
        Some p
    | _ -> None
  in
  let at start = s.value + r.addend - (r.at - start) in
  match before with
  | _ when r.how <> r_pc32 -> To (targets parts symbols r)
  | None -> To (parts_between parts s.section (s.value + r.addend - r.at) (s.value + r.addend))
  | Some start -> (
      match owner start with
      | Some p when p.home = s.section && p.first <= at start && at start < p.stop -> Within p
      | Some _ | None -> To (parts_between parts s.section (at start) (s.value + r.addend)))
