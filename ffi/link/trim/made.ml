(* What the initialisation of a module computes for a field: a block that it makes, as it does for a module inside the
   module, or the field of another module. What the block refers to counts only if somebody reads the field, or if the
   initialisation does anything else with the block.

   Each stretch of code without jumps is executed here, with what is known of the registers. *)

open Elf
open Parts
open X86
open Fields

(* A relocation by which the address of static data is loaded. *)
type origin = {
  at : int;
  data : data;
  mutable lost : bool;  (** The address goes where it is not followed. *)
  mutable read : int list;  (** The fields of a module that are read in any case. *)
}

and data = Block of part | Module of string

type value =
  | Unknown
  | Constant of origin  (** A static block. *)
  | Inside of origin * int  (** The address of a module, plus an offset. *)
  | Loaded of origin * int  (** What the field of a module holds. *)
  | Fresh of chunk * int  (** A place in what was allocated at one time. *)

(* Blocks that are allocated together. An address of one leads to all. *)
and chunk = { mutable blocks : made list; words : (int, value) Hashtbl.t; mutable escaped : bool }
and made = { start : int; stop : int; mutable holds : value list; mutable needed : bool }

type found = {
  origins : origin list;
  puts : (string * int * value) list;  (** What fields are filled with: module, offset, value. *)
}

let block_at chunk at = List.find_opt (fun b -> b.start <= at && at < b.stop) chunk.blocks

let rec escape = function
  | Unknown -> ()
  | Constant origin | Inside (origin, _) -> origin.lost <- true
  | Loaded (origin, offset) -> origin.read <- offset :: origin.read
  | Fresh (chunk, _) ->
      if not chunk.escaped then (
        chunk.escaped <- true;
        List.iter (fun made -> List.iter escape made.holds) chunk.blocks)

let put chunk at value =
  match block_at chunk at with
  | None -> raise Leave
  | Some made ->
      (* What is written twice may, behind a branch, be either. *)
      Option.iter
        (fun before ->
          escape before;
          escape value)
        (Hashtbl.find_opt chunk.words at);
      Hashtbl.replace chunk.words at value;
      made.holds <- value :: made.holds;
      if chunk.escaped then escape value

(* What the initialisation [part] makes; Leave if anything about it is not understood. [is_module]: of a label. *)
let make code (part : part) ~is_module =
  let b = code.elf.file and base = code.elf.sections.(part.home).offset in
  let registers = Array.make 16 Unknown in
  let origins = Hashtbl.create 64 and puts = ref [] in
  let new_chunk () = { blocks = []; words = Hashtbl.create 16; escaped = false } in
  let allocated = ref (new_chunk ()) in
  let allocate () = allocated := new_chunk () in
  let targets_of_jumps = Hashtbl.create 16 in
  List.iter (fun (_, _, _, target) -> Hashtbl.replace targets_of_jumps target ()) (jumps code part);
  let reloc at = Hashtbl.find_opt code.reloc_at (part.home, at) in
  let value reg = if reg < 0 then Unknown else registers.(reg) in
  let set reg value = if reg >= 0 then registers.(reg) <- value in
  let forget ~except =
    Array.iteri (fun reg _ -> if not (List.mem reg except) then set reg Unknown) registers
  in
  (* The code that begins at [at] is not executed here: what it uses escapes. *)
  let leave_registers at =
    Array.iteri
      (fun reg value ->
        match value with
        | Unknown -> ()
        | _ -> if follow code { part; at; reg; inner = false } <> [] then escape value)
      registers
  in
  let origin at data =
    match Hashtbl.find_opt origins at with
    | Some origin -> origin
    | None ->
        let origin = { at; data; lost = false; read = [] } in
        Hashtbl.replace origins at origin;
        origin
  in
  let address next =
    match reloc (next - 4) with
    | Some r when of_got r.how && r.addend = -4 -> (
        let label = code.symbols.(r.symbol).label in
        if is_module label then Inside (origin (next - 4) (Module label), 0)
        else
          match targets code.parts code.symbols r with
          | [ block ] when not block.is_code -> Constant (origin (next - 4) (Block block))
          | _ -> Unknown)
    | _ -> Unknown
  in
  (* A block that is made here exists before anything reads the field, and so do the blocks that it refers to. *)
  let held owner offset =
    match List.filter (fun (label, o, _) -> o = offset && owner.data = Module label) !puts with
    | [ (_, _, (Fresh _ as made)) ] -> made
    | _ -> Loaded (owner, offset)
  in
  let load (i : instruction) next =
    match i.rm with
    | Memory { base = -1; index = -1; _ } when i.size = 7 -> address next
    | Memory { base; index = -1; disp } -> (
        match value base with
        | Fresh (chunk, at) -> (
            match Hashtbl.find_opt chunk.words (at + disp) with
            | Some value -> value
            | None -> raise Leave)
        | Inside (origin, 0) when disp >= 0 && disp land 7 = 0 -> held origin disp
        (* Also what was loaded: the program follows it when it starts, whether or not anybody reads the result. *)
        | other ->
            escape other;
            Unknown)
    | Memory { base; index; _ } ->
        escape (value base);
        escape (value index);
        Unknown
    | Register reg -> value reg
    | No_operand -> Unknown
  in
  (* [constant]: what is stored, if it is in the instruction; it may be the header of a block. *)
  let store (i : instruction) stored ~constant =
    match i.rm with
    | Register reg -> set reg stored
    | No_operand -> escape stored
    | Memory { base; index; disp } -> (
        escape (value index);
        match value base with
        | Fresh (chunk, at) when index = -1 -> (
            let at = at + disp in
            match (block_at chunk at, constant) with
            | None, Some header ->
                let start = at + 8 in
                let stop = start + (8 * (header lsr 10)) in
                chunk.blocks <- { start; stop; holds = []; needed = false } :: chunk.blocks
            | _ -> put chunk at stored)
        | Inside (_, 0) -> escape stored
        | other ->
            escape other;
            escape stored)
  in
  let mention (i : instruction) =
    escape (value i.reg);
    match i.rm with
    | Register reg -> escape (value reg)
    | Memory { base; index; _ } ->
        escape (value base);
        escape (value index)
    | No_operand -> ()
  in
  let on at (i : instruction) =
    let next = at + i.size in
    match i.action with
    | Nothing -> ()
    | Load -> set i.reg (load i next)
    | Address -> (
        match i.rm with
        | Memory { base = 15; index = -1; disp } -> set i.reg (Fresh (!allocated, disp))
        | Memory { base; index = -1; disp } -> (
            match value base with
            | Fresh (chunk, at) -> set i.reg (Fresh (chunk, at + disp))
            | other ->
                escape other;
                set i.reg Unknown)
        | _ ->
            mention { i with reg = -1 };
            set i.reg Unknown)
    | Store -> store i (value i.reg) ~constant:None
    | Set ->
        let is_constant = Bytes.get_uint8 b (base + at + 1) = 0xc7 in
        store i Unknown ~constant:(if is_constant then Some (u32 b (base + next - 4)) else None)
    | Add n -> (
        match i.rm with
        | Register 15 -> allocate ()
        | Register reg -> (
            match value reg with
            | Fresh (chunk, at) -> set reg (Fresh (chunk, at + n))
            | Inside (origin, at) -> set reg (Inside (origin, at + n))
            | other ->
                escape other;
                set reg Unknown)
        | _ -> mention i)
    | Read | Change -> (
        mention i;
        set i.reg Unknown;
        match i.rm with Register reg -> set reg Unknown | _ -> ())
  in
  let fill owner offset value =
    match (filling code part owner.at, value, owner.data) with
    | Some (o, Static { at; _ }), Constant loaded, _ when o = offset && at = loaded.at -> ()
    | Some (o, From from), Loaded (same, field), _ when o = offset && same == owner && field = from
      ->
        ()
    | Some (o, From _), Fresh _, _ when o = offset -> ()
    | (None | Some (_, Computed)), _, Module label -> puts := (label, offset, value) :: !puts
    | _ ->
        escape value;
        owner.lost <- true
  in
  let call at next =
    let label =
      match reloc (next - 4) with Some r -> code.symbols.(r.symbol).label | None -> raise Leave
    in
    if transparent label then allocate ()
    else (
      (match registers.(rdi) with
      | Inside (owner, offset) when label = "caml_initialize" -> fill owner offset registers.(rsi)
      | _ -> leave_registers at);
      let by_c = not (of_module label || label = "caml_c_call" || known_to_be_ocaml's label) in
      forget ~except:(if by_c then kept_by_c else []))
  in
  let rec walk at =
    if at < part.stop then (
      if Hashtbl.mem targets_of_jumps at then (
        leave_registers at;
        forget ~except:[]);
      let i = decode b (base + at) in
      let next = at + i.size in
      (match i.flow with
      | On -> on at i
      | Call -> call at next
      | Other -> raise Leave
      | Stop -> forget ~except:[]
      | Return | Jump _ | Branch _ | Jump_to | Call_to ->
          leave_registers at;
          forget ~except:[]);
      walk next)
  in
  walk part.first;
  let origins = Hashtbl.fold (fun _ origin all -> origin :: all) origins [] in
  { origins; puts = !puts }
