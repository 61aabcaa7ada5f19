(* Each stretch of code without jumps is executed here, with what is known of the registers. *)

open Elf
open Parts
open X86
open Fields

type origin = { at : int; data : data; mutable lost : bool; mutable read : int list }
and data = Block of part | Module of string

type value =
  | Unknown
  | Constant of origin
  | Inside of origin * int
  | Loaded of origin * int
  | Fresh of chunk * int

and chunk = { mutable blocks : made list; words : (int, value) Hashtbl.t; mutable escaped : bool }
and made = { start : int; stop : int; mutable holds : value list; mutable needed : bool }

type found = { origins : origin list; puts : (string * int * value) list }

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

(* {1 The machine} *)

type machine = {
  code : code;
  part : part;
  base : int;  (** Where the code begins in the file, but for the offset in its section. *)
  is_module : string -> bool;  (** Of a label. *)
  registers : value array;
  mutable allocated : chunk;  (** The latest. *)
  origins : (int, origin) Hashtbl.t;  (** By the place of the relocation. *)
  mutable puts : (string * int * value) list;
}

let new_chunk () = { blocks = []; words = Hashtbl.create 16; escaped = false }
let reloc m at = Hashtbl.find_opt m.code.reloc_at (m.part.home, at)
let value m reg = if reg < 0 then Unknown else m.registers.(reg)
let set m reg value = if reg >= 0 then m.registers.(reg) <- value

let forget m ~except =
  Array.iteri (fun reg _ -> if not (List.mem reg except) then set m reg Unknown) m.registers

(* The code that begins at [at] is not executed here: what it uses escapes. *)
let leave_registers m at =
  Array.iteri
    (fun reg value ->
      match value with
      | Unknown -> ()
      | _ -> if follow m.code { part = m.part; at; reg; inner = false } <> [] then escape value)
    m.registers

let mention m (i : instruction) =
  escape (value m i.reg);
  match i.rm with
  | Register reg -> escape (value m reg)
  | Memory { base; index; _ } ->
      escape (value m base);
      escape (value m index)
  | No_operand -> ()

(* {1 Loading} *)

let origin m at data =
  match Hashtbl.find_opt m.origins at with
  | Some origin -> origin
  | None ->
      let origin = { at; data; lost = false; read = [] } in
      Hashtbl.replace m.origins at origin;
      origin

let address m next =
  match reloc m (next - 4) with
  | Some r when of_got r.how && r.addend = -4 -> (
      let { symbols; parts; _ } = m.code in
      let label = symbols.(r.symbol).label in
      if m.is_module label then Inside (origin m (next - 4) (Module label), 0)
      else
        match targets parts symbols r with
        | [ block ] when not block.is_code -> Constant (origin m (next - 4) (Block block))
        | _ -> Unknown)
  | _ -> Unknown

(* A block that is made here exists before anything reads the field, and so do the blocks that it refers to. *)
let held m owner offset =
  match List.filter (fun (label, o, _) -> o = offset && owner.data = Module label) m.puts with
  | [ (_, _, (Fresh _ as made)) ] -> made
  | _ -> Loaded (owner, offset)

let load m (i : instruction) next =
  match i.rm with
  | Memory { base = -1; index = -1; _ } when i.size = 7 -> address m next
  | Memory { base; index = -1; disp } -> (
      match value m base with
      | Fresh (chunk, at) -> (
          match Hashtbl.find_opt chunk.words (at + disp) with
          | Some value -> value
          | None -> raise Leave)
      | Inside (origin, 0) when disp >= 0 && disp land 7 = 0 -> held m origin disp
      (* Also what was loaded: the program follows it when it starts, whether or not anybody reads the result. *)
      | other ->
          escape other;
          Unknown)
  | Memory { base; index; _ } ->
      escape (value m base);
      escape (value m index);
      Unknown
  | Register reg -> value m reg
  | No_operand -> Unknown

(* {1 Storing} *)

(* [constant]: what is stored, if it is in the instruction; it may be the header of a block. *)
let store m (i : instruction) stored ~constant =
  match i.rm with
  | Register reg -> set m reg stored
  | No_operand -> escape stored
  | Memory { base; index; disp } -> (
      escape (value m index);
      match value m base with
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

let fill m owner offset value =
  match (filling m.code m.part owner.at, value, owner.data) with
  | Some (o, Static { at; _ }), Constant loaded, _ when o = offset && at = loaded.at -> ()
  | Some (o, From from), Loaded (same, field), _ when o = offset && same == owner && field = from ->
      ()
  | Some (o, From _), Fresh _, _ when o = offset -> ()
  | (None | Some (_, Computed)), _, Module label -> m.puts <- (label, offset, value) :: m.puts
  | _ ->
      escape value;
      owner.lost <- true

(* {1 Instructions} *)

let add m (i : instruction) n =
  match i.rm with
  | Register 15 -> m.allocated <- new_chunk ()
  | Register reg -> (
      match value m reg with
      | Fresh (chunk, at) -> set m reg (Fresh (chunk, at + n))
      | Inside (origin, at) -> set m reg (Inside (origin, at + n))
      | other ->
          escape other;
          set m reg Unknown)
  | _ -> mention m i

let load_address m (i : instruction) =
  match i.rm with
  | Memory { base = 15; index = -1; disp } -> set m i.reg (Fresh (m.allocated, disp))
  | Memory { base; index = -1; disp } -> (
      match value m base with
      | Fresh (chunk, at) -> set m i.reg (Fresh (chunk, at + disp))
      | other ->
          escape other;
          set m i.reg Unknown)
  | _ ->
      mention m { i with reg = -1 };
      set m i.reg Unknown

let on m at (i : instruction) =
  let next = at + i.size in
  match i.action with
  | Nothing -> ()
  | Load -> set m i.reg (load m i next)
  | Address -> load_address m i
  | Store -> store m i (value m i.reg) ~constant:None
  | Set ->
      let b = m.code.elf.file in
      let is_constant = Bytes.get_uint8 b (m.base + at + 1) = 0xc7 in
      store m i Unknown ~constant:(if is_constant then Some (u32 b (m.base + next - 4)) else None)
  | Add n -> add m i n
  | Read | Change -> (
      mention m i;
      set m i.reg Unknown;
      match i.rm with Register reg -> set m reg Unknown | _ -> ())

let call m at next =
  let label =
    match reloc m (next - 4) with Some r -> m.code.symbols.(r.symbol).label | None -> raise Leave
  in
  if transparent label then m.allocated <- new_chunk ()
  else (
    (match m.registers.(rdi) with
    | Inside (owner, offset) when label = "caml_initialize" -> fill m owner offset m.registers.(rsi)
    | _ -> leave_registers m at);
    let by_c = not (of_module label || label = "caml_c_call" || known_to_be_ocaml's label) in
    forget m ~except:(if by_c then kept_by_c else []))

let rec walk m ~targets_of_jumps at =
  if at < m.part.stop then (
    let leave () =
      leave_registers m at;
      forget m ~except:[]
    in
    if Hashtbl.mem targets_of_jumps at then leave ();
    let i = decode m.code.elf.file (m.base + at) in
    let next = at + i.size in
    (match i.flow with
    | On -> on m at i
    | Call -> call m at next
    | Other -> raise Leave
    | Stop -> forget m ~except:[]
    | Return | Jump _ | Branch _ | Jump_to | Call_to -> leave ());
    walk m ~targets_of_jumps next)

let make code (part : part) ~is_module =
  let m =
    {
      code;
      part;
      base = code.elf.sections.(part.home).offset;
      is_module;
      registers = Array.make 16 Unknown;
      allocated = new_chunk ();
      origins = Hashtbl.create 64;
      puts = [];
    }
  in
  let targets_of_jumps = Hashtbl.create 16 in
  List.iter (fun (_, _, _, target) -> Hashtbl.replace targets_of_jumps target ()) (jumps code part);
  walk m ~targets_of_jumps part.first;
  let origins = Hashtbl.fold (fun _ origin all -> origin :: all) m.origins [] in
  { origins; puts = m.puts }
