(* An object's OCaml code and data as parts, each of which the image has or has not, and who refers to
   whom. A part is a function, or a block of static data: a closure, a constant, or what a module consists of. *)

open Elf

type part = {
  label : string;
  home : int;  (** Its section. *)
  first : int;
  stop : int;
  is_code : bool;
  mutable live : bool;
  mutable refers : part list;
}

let without_suffix suffix s =
  if String.ends_with ~suffix s then Some (String.sub s 0 (String.length s - String.length suffix))
  else None

(* What stands between two marks of every module, by their section. *)
let ranges symbols first last =
  let starts = Hashtbl.create 64 in
  Array.iter
    (fun (s : symbol) ->
      Option.iter (fun m -> Hashtbl.replace starts m s) (without_suffix first s.label))
    symbols;
  let range (s : symbol) =
    match Option.map (Hashtbl.find_opt starts) (without_suffix last s.label) with
    | Some (Some start) when start.section = s.section && start.value < s.value ->
        Some (s.section, start.value, s.value)
    | _ -> None
  in
  List.filter_map range (Array.to_list symbols)

(* The first function of a unit begins where this mark does, and so may the mark behind another unit's last one. *)
let is_mark label =
  String.ends_with ~suffix:".code_begin" label || String.ends_with ~suffix:".code_end" label

(* Code that was compiled without sections for its functions. *)
let functions_of_ranges symbols =
  let inside = Hashtbl.create 64 in
  let add (section, start, stop) = Hashtbl.add inside section (start, stop) in
  List.iter add (ranges symbols ".code_begin" ".code_end");
  let found = ref [] in
  Array.iter
    (fun (s : symbol) ->
      if (not s.is_section) && s.section > 0 && not (is_mark s.label) then
        List.iter
          (fun (start, stop) ->
            if start <= s.value && s.value < stop then
              found := ((s.section, s.value), (s.label, stop)) :: !found)
          (Hashtbl.find_all inside s.section))
    symbols;
  let rec close = function
    | ((h, a), _) :: (((h', a'), _) :: _ as rest) when h = h' && a = a' -> close rest
    | ((home, first), (label, stop)) :: rest ->
        let stop =
          match rest with ((h, next), _) :: _ when h = home -> min stop next | _ -> stop
        in
        { label; home; first; stop; is_code = true; live = false; refers = [] } :: close rest
    | [] -> []
  in
  close (List.sort compare !found)

let function_sections elf =
  let prefix = ".text.caml." in
  let part i (s : section) =
    let label =
      if starts prefix s.name then
        String.sub s.name (String.length prefix) (String.length s.name - String.length prefix)
      else ""
    in
    if of_module label && s.size > 0 then
      Some { label; home = i; first = 0; stop = s.size; is_code = true; live = false; refers = [] }
    else None
  in
  List.filter_map Fun.id (Array.to_list (Array.mapi part elf.sections))

let infix_tag = 249

(* Static data: a header with the number of words, and the words. Closures that share a block have symbols of their own
   in it. Tables of numbers have no header: a block counts as one only if the next symbol's begins where it ends. *)
let blocks symbols index data =
  let inside =
    List.filter (fun (s, _, _) -> s = index) (ranges symbols ".data_begin" ".data_end")
  in
  let in_data (s : symbol) =
    s.section = index && (not s.is_section)
    && List.exists (fun (_, first, stop) -> first < s.value && s.value <= stop) inside
  in
  let all = List.filter in_data (Array.to_list symbols) in
  let all = List.sort_uniq (fun (a : symbol) b -> compare a.value b.value) all in
  let rec from at = function
    | (s : symbol) :: rest when s.value < at -> from at rest
    | rest -> rest
  in
  let rec cut = function
    | (s : symbol) :: rest ->
        let header = Int64.to_int (Bytes.get_int64_le data (s.value - 8)) in
        let stop = s.value + (8 * (header lsr 10)) and tag = header land 255 in
        let behind = List.find_opt (fun (next : symbol) -> next.value >= stop) rest in
        let is_block =
          (* Static blocks are black. *)
          of_module s.label
          && header land 0x300 = 0x300
          && tag <> infix_tag && stop > s.value
          &&
          match behind with
          | Some next -> next.value = stop || next.value = stop + 8
          | None -> false
        in
        if is_block then
          let first = s.value - 8 in
          let p =
            {
              label = s.label;
              home = index;
              first;
              stop;
              is_code = false;
              live = false;
              refers = [];
            }
          in
          p :: cut (from stop rest)
        else cut rest
    | [] -> []
  in
  cut all

type parts = { by_section : (int, part array) Hashtbl.t; all : part list }

let parts_of elf symbols =
  let index, data = find elf ".data" in
  let all =
    functions_of_ranges symbols @ function_sections elf @ blocks symbols index (content elf data)
  in
  let lists = Hashtbl.create 4096 in
  List.iter
    (fun p ->
      let others = Option.value (Hashtbl.find_opt lists p.home) ~default:[] in
      Hashtbl.replace lists p.home (p :: others))
    all;
  let by_section = Hashtbl.create 4096 in
  Hashtbl.iter
    (fun home parts ->
      let sorted = Array.of_list parts in
      Array.sort (fun a b -> compare a.first b.first) sorted;
      Hashtbl.replace by_section home sorted)
    lists;
  { by_section; all }

(* Of what is sorted by where it starts, the last that does so at a place or before it. *)
let last_from start sorted at =
  let rec search low high =
    if low = high then low
    else
      let middle = (low + high) / 2 in
      if start sorted.(middle) <= at then search (middle + 1) high else search low middle
  in
  match search 0 (Array.length sorted) with 0 -> None | n -> Some sorted.(n - 1)

(* The part that a place belongs to. *)
let part_at parts section at =
  match Hashtbl.find_opt parts.by_section section with
  | None -> None
  | Some sorted -> (
      match last_from (fun p -> p.first) sorted at with
      | Some p when at < p.stop -> Some p
      | Some _ | None -> None)

(* The parts that have any of a section's places from [first] to [last]. *)
let parts_between parts section first last =
  let of_section = Option.value (Hashtbl.find_opt parts.by_section section) ~default:[||] in
  let add p found = if p.first <= last && first < p.stop then p :: found else found in
  Array.fold_right add of_section []

(* How a place is written in code: its distance from the end of the operand. *)
let r_plt32 = 4
let r_gotpcrel = 9
let r_gotpcrelx = 41
let r_rex_gotpcrelx = 42
let of_got how = how = r_gotpcrel || how = r_gotpcrelx || how = r_rex_gotpcrelx
let relative how = how = r_pc32 || how = r_plt32 || of_got how
let known how = relative how || List.mem how [ r_none; r_64; r_32; r_32s ]

(* The place in the symbol's section that a relocation refers to, if it is one of code or an address. *)
let target_of (s : symbol) r = s.value + r.addend + if relative r.how then 4 else 0

(* What a relocation refers to: as a rule one part, or none that is OCaml's. An operand that a constant follows counts
   from behind that, so with the symbol of a section the place may be up to four bytes on. *)
let targets parts symbols r =
  let s : symbol = symbols.(r.symbol) in
  let at = target_of s r in
  let add found at =
    match part_at parts s.section at with
    | Some p when not (List.memq p found) -> p :: found
    | Some _ | None -> found
  in
  if (not (known r.how)) && Hashtbl.mem parts.by_section s.section then
    unknown "a relocation of kind %d to what may be OCaml's" r.how;
  if s.is_section then
    if relative r.how then List.fold_left add [] [ at; at + 1; at + 2; at + 4 ] else add [] at
  else if at = s.value then add [] at
  else add (add [] at) s.value
