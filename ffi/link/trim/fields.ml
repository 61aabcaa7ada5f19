(* Which fields of a module are read, and by whom.

   A module is a block of static data, whose fields its initialisation fills in. Code that uses one loads the block's
   address from the global offset table and then the field. The address is followed here, register by register, from
   each such load to where it is overwritten. If anything but a field's load or the initialisation of a field happens
   to it, then the module as such is in use, with all of its fields. *)

open Elf
open Parts
open X86

type use =
  | Field of int  (** The field at this offset is read. *)
  | Whole  (** Everything may be. *)

(* The initialisation of a field, in the module's own code. *)
type filling =
  | Static of { at : int; block : part }
      (** With the block that the relocation at [at] refers to. *)
  | From of int  (** With another field, at this offset. *)
  | Computed

type code = {
  elf : elf;
  symbols : symbol array;
  parts : parts;
  reloc_at : (int * int, reloc) Hashtbl.t;  (** By section and place, those of OCaml's code. *)
  has_table : part -> bool;  (** Whether a function may have a switch's table. *)
}

let rax, rbx, rsi, rdi = (0, 3, 6, 7)

(* Registers with the arguments of a C function, and those that it leaves alone. *)
let c_arguments = [ 1; 2; 6; 7; 8; 9 ]
let kept_by_c = [ 3; 5; 12; 13; 14; 15 ]
let fills = [ "caml_initialize"; "caml_modify" ]

(* These keep all registers for their caller. They are in assembly; C has other functions of the name caml_alloc_... *)
let transparent label =
  List.mem label
    [
      "caml_call_gc";
      "caml_call_realloc_stack";
      "caml_alloc1";
      "caml_alloc2";
      "caml_alloc3";
      "caml_allocN";
    ]

(* The runtime's functions that take their arguments as functions in OCaml do. *)
let by_ocaml's_rules =
  [
    "caml_c_call_";
    "caml_curry";
    "caml_tuplify";
    "caml_send";
    "caml_perform";
    "caml_reperform";
    "caml_resume";
    "caml_runstack";
  ]

(* Of the same kind, but not known: a later runtime may have more of them. *)
let perhaps_transparent label = starts "caml_call_" label || starts "caml_alloc" label

let known_to_be_ocaml's label =
  perhaps_transparent label || starts "caml_apply" label
  || List.exists (fun p -> starts p label) by_ocaml's_rules

let raises label =
  starts "caml_raise" label || starts "caml_reraise" label || starts "caml_ml_array_" label

(* What `caml_applyN` is given: N arguments and a closure. *)
let is_argument label reg =
  let registers = [ 0; 3; 7; 6; 2; 1; 8; 9; 12; 13 ] in
  match int_of_string_opt (String.sub label 10 (String.length label - 10)) with
  | Some n -> List.mem reg (List.filteri (fun i _ -> i <= n) registers)
  | None -> true

exception In_use

(* The code is not understood. *)
exception Leave

(* Jumps within a function: where the distance is, how many bytes it has, where it counts from, and to. *)
let jumps code (part : part) =
  let b = code.elf.file and base = code.elf.sections.(part.home).offset in
  let has_reloc at stop =
    let rec any i = i < stop && (Hashtbl.mem code.reloc_at (part.home, i) || any (i + 1)) in
    any at
  in
  let rec walk at found =
    if at >= part.stop then if at = part.stop then found else raise Leave
    else
      let i = decode b (base + at) in
      let next = at + i.size in
      let known = has_reloc at next in
      match (i.flow, i.rm) with
      | (Other, _ | _, Memory { base = -1; index = _; _ }) when i.flow = Other || not known ->
          raise Leave
      | (Jump distance | Branch distance), _ when not known ->
          let size = if i.size = 2 then 1 else 4 in
          walk next ((next - size, size, next, next + distance) :: found)
      | _ -> walk next found
  in
  walk part.first []

(* [reg] holds the module's address before the code at a place, or ([inner]) that of one of its fields. *)
type state = { part : part; at : int; reg : int; inner : bool }

let follow code first =
  let file = code.elf.file in
  let start (p : part) = code.elf.sections.(p.home).offset in
  let seen = Hashtbl.create 16 and read = ref [] in
  let rec visit s =
    if not (Hashtbl.mem seen s) then (
      Hashtbl.replace seen s ();
      if s.at < s.part.first || s.at >= s.part.stop then raise In_use;
      step s (decode file (start s.part + s.at)))
  and step ({ part; at; reg; inner } as s) i =
    let next = at + i.size in
    let continue () = visit { s with at = next } in
    let ours = of_module part.label in
    let reloc at = Hashtbl.find_opt code.reloc_at (part.home, at) in
    (* A call or jump to what the relocation of its operand says; true if the registers come back. *)
    let enter at =
      match reloc at with
      | None -> raise In_use
      | Some r -> (
          let label = code.symbols.(r.symbol).label in
          match targets code.parts code.symbols r with
          | [ callee ] when of_module callee.label ->
              if (not callee.is_code) || r.addend <> -4 then raise In_use;
              visit { s with part = callee; at = callee.first };
              false
          | _ ->
              (* OCaml's own, but not known as a part: it may be given arguments in any register. *)
              if of_module label || code.symbols.(r.symbol).is_section then raise In_use;
              if transparent label then true
              else if perhaps_transparent label then raise In_use
              else if starts "caml_apply" label then
                if is_argument label reg then raise In_use else false
              else if raises label then if reg = rax then raise In_use else false
              else if List.exists (fun p -> starts p label) by_ocaml's_rules then raise In_use
              else if List.mem label fills && inner && reg = rdi then false
              else if List.mem reg c_arguments then raise In_use
              else label <> "caml_c_call" && List.mem reg kept_by_c)
    in
    match i.flow with
    | Other -> raise In_use
    | Stop -> ()
    | Return -> if reg = rax then raise In_use
    | Jump distance ->
        if reloc (next - 4) = None then visit { s with at = next + distance }
        else if enter (next - 4) then raise In_use
    | Branch distance ->
        if reloc (next - 4) <> None then raise In_use;
        visit { s with at = next + distance };
        continue ()
    | Call -> if enter (next - 4) then continue ()
    | Jump_to | Call_to ->
        (* A closure's code is given the argument in rax and the closure in rbx. A switch stays in this function, and
           goes on wherever its table says: it adds to the table's address, and a function with a table may do it
           otherwise. *)
        let added = at >= 2 && Bytes.get_uint8 file (start part + at - 2) = 0x01 in
        let switch = i.flow = Jump_to && (added || code.has_table part) in
        if switch || (not ours) || reg = rax || reg = rbx || mentions i reg then raise In_use
    | On ->
        if i.reg = reg && List.mem i.action [ Store; Change; Read ] then raise In_use;
        let result = i.reg = reg && List.mem i.action [ Load; Address ] in
        let next_inner =
          match (i.rm, i.action) with
          | Memory { index; _ }, _ when index = reg -> raise In_use
          | Memory { base; disp; index }, (Load | Read) when base = reg ->
              if inner || index >= 0 || disp < 0 || disp land 7 <> 0 then raise In_use;
              read := disp :: !read;
              Some inner
          | Memory { base; _ }, (Store | Set) when base = reg ->
              if inner then raise In_use;
              Some inner
          | Memory { base; _ }, _ when base = reg -> raise In_use
          | Register r, (Set | Store) when r = reg -> None
          | Register r, Add _ when r = reg -> if inner then raise In_use else Some true
          | Register r, _ when r = reg -> raise In_use
          | _ -> Some inner
        in
        if not result then Option.iter (fun inner -> visit { s with at = next; inner }) next_inner
  and mentions i reg =
    match i.rm with
    | Register r -> r = reg
    | Memory { base; index; _ } -> base = reg || index = reg
    | No_operand -> false
  in
  match visit first with
  | () -> List.map (fun offset -> Field offset) (List.sort_uniq compare !read)
  | exception (In_use | Invalid_argument _) -> [ Whole ]

(* What becomes of the module whose address is loaded with the relocation at [at]. *)
let follow_load code (part : part) at =
  let b = code.elf.file and base = code.elf.sections.(part.home).offset in
  if at < part.first + 3 then [ Whole ]
  else
    match decode b (base + at - 3) with
    | { action = Load; rm = Memory { base = -1; index = -1; _ }; reg; size = 7; _ } ->
        follow code { part; at = at + 4; reg; inner = false }
    | _ -> [ Whole ]

(* The initialisation of a field of [owner], whose address the instruction before [at] loads; the offset of the field,
   and with what. The instructions are always the same:

     mov BLOCK@GOTPCREL(%rip), %rsi          or a field, or another register
     mov OWNER@GOTPCREL(%rip), %rdi
     add $OFFSET, %rdi                       unless it is 0
     mov %rsp, %rbx
     mov Caml_state(c_stack), %rsp
     call caml_initialize *)
let filling code (part : part) at =
  let b = code.elf.file and base = code.elf.sections.(part.home).offset in
  let is at bytes =
    part.first <= at && Bytes.sub_string b (base + at) (String.length bytes) = bytes
  in
  let got at = Hashtbl.find_opt code.reloc_at (part.home, at) in
  if not (is (at - 3) "\x48\x8b\x3d") then None
  else
    let from, next =
      match decode b (base + at + 4) with
      | { action = Load; rm = Memory { base; index = -1; disp }; reg; size; _ }
        when reg = rsi && base = rdi && disp >= 0 ->
          (Some (From disp), at + 4 + size)
      | _ -> (None, at + 4)
    in
    let offset, next =
      match decode b (base + next) with
      | { action = Add n; rm = Register r; size; _ } when r = rdi -> (n, next + size)
      | _ -> (0, next)
    in
    let from, next =
      match (from, decode b (base + next)) with
      | None, { action = Load; rm = Memory { base; _ }; reg; size; _ } when reg = rsi && base <> rdi
        ->
          (Some Computed, next + size)
      | None, { action = Store; rm = Register r; size; _ } when r = rsi ->
          (Some Computed, next + size)
      | from, _ -> (from, next)
    in
    let called = if is next "\x48\x89\xe3\x49\x8b\x66\x40\xe8" then got (next + 8) else None in
    match called with
    | Some r
      when code.symbols.(r.symbol).label = "caml_initialize" && offset >= 0 && offset land 7 = 0 ->
        let from =
          match from with
          | Some from -> from
          | None -> (
              match got (at - 7) with
              | Some r when is (at - 10) "\x48\x8b\x35" && of_got r.how && r.addend = -4 -> (
                  match targets code.parts code.symbols r with
                  | [ block ] when not block.is_code -> Static { at = at - 7; block }
                  | _ -> Computed)
              | _ -> Computed)
        in
        Some (offset, from)
    | _ -> None
