(* As much of x86-64's encoding as ocamlopt uses for integers, and no more. An instruction that is not
   listed here is [Other], of which nothing is known. *)

open Elf

type operand =
  | No_operand
  | Register of int
  | Memory of { base : int; index : int; disp : int }  (** -1: none. *)

type flow =
  | On
  | Jump of int  (** The distance from the instruction's end. *)
  | Branch of int
  | Call
  | Jump_to  (** By the operand. *)
  | Call_to
  | Return
  | Stop
  | Other

(* What it does with its operand [rm] and its register [reg]. *)
type action =
  | Nothing
  | Load  (** [reg] is written; [rm] is read. *)
  | Address  (** [reg] becomes the address of [rm]. *)
  | Store  (** [rm] is written; [reg] is read. *)
  | Set  (** [rm] is written. *)
  | Read  (** Both are read; [reg] may be written. *)
  | Add of int  (** A constant to [rm]. *)
  | Change  (** [rm] is read and written; [reg] is read. *)

type instruction = {
  size : int;
  flow : flow;
  action : action;
  rm : operand;
  reg : int;  (** -1: none. *)
}

let other = { size = 0; flow = Other; action = Nothing; rm = No_operand; reg = -1 }

let decode b at =
  let byte i = Bytes.get_uint8 b i in
  let i8 i = Bytes.get_int8 b i in
  let rec prefixes i rex =
    match byte i with
    | 0x66 | 0xf2 | 0xf3 -> prefixes (i + 1) rex
    | r when r land 0xf0 = 0x40 -> (i + 1, r)
    | _ -> (i, rex)
  in
  let i, rex = prefixes at 0 in
  (* With this prefix an operand has 16 bits, and so has a constant that would have 32. *)
  let word = if byte at = 0x66 && rex land 8 = 0 then 2 else 4 in
  let high bit = if rex land bit <> 0 then 8 else 0 in
  let plain size flow = { other with size; flow } in
  (* Reads the operand that begins at [i]: it, the register beside it, and where it ends. *)
  let operand i =
    let modrm = byte i in
    let reg = (modrm lsr 3) land 7 lor high 4 and mode = modrm lsr 6 and low = modrm land 7 in
    if mode = 3 then (Register (low lor high 1), reg, i + 1)
    else
      let base, index, i =
        if low = 4 then
          let sib = byte (i + 1) in
          let index = (sib lsr 3) land 7 lor high 2 in
          let base = if sib land 7 = 5 && mode = 0 then -1 else sib land 7 lor high 1 in
          (base, (if index = 4 then -1 else index), i + 2)
        else if low = 5 && mode = 0 then (-1, -1, i + 1)
        else (low lor high 1, -1, i + 1)
      in
      let disp, i =
        match mode with
        | 1 -> (i8 i, i + 1)
        | 2 -> (i32 b i, i + 4)
        | _ -> if base = -1 then (i32 b i, i + 4) else (0, i)
      in
      (Memory { base; index; disp }, reg, i)
  in
  let with_operand ?(immediate = 0) i action =
    let rm, reg, stop = operand i in
    { size = stop + immediate - at; flow = On; action; rm; reg }
  in
  let of_code ?(immediate = 0) i action =
    let register = byte i land 7 lor high 1 in
    { size = i + 1 + immediate - at; flow = On; action; rm = Register register; reg = -1 }
  in
  let without_reg instruction = { instruction with reg = -1 } in
  let numbers instruction =
    match instruction.rm with
    | Register _ -> { instruction with rm = No_operand }
    | Memory _ | No_operand -> instruction
  in
  let partly instruction =
    match instruction.rm with
    | Register _ -> { instruction with action = Change }
    | Memory _ | No_operand -> instruction
  in
  match byte i with
  | 0x01 | 0x09 | 0x21 | 0x29 | 0x31 -> with_operand (i + 1) Change
  | (0x05 | 0x0d | 0x25 | 0x2d | 0x35 | 0x3d) as c -> (
      let is action = { size = i + 1 + word - at; flow = On; action; rm = Register 0; reg = -1 } in
      let amount = if word = 4 then i32 b (i + 1) else Bytes.get_int16_le b (i + 1) in
      match c with
      | 0x05 -> is (Add amount)
      | 0x2d -> is (Add (-amount))
      | 0x3d -> is Read
      | _ -> is Change)
  | 0x03 | 0x0b | 0x23 | 0x2b | 0x33 | 0x39 | 0x3b | 0x84 | 0x85 -> with_operand (i + 1) Read
  | c when c land 0xf8 = 0x50 -> of_code i Read
  | c when c land 0xf8 = 0x58 -> of_code i Set
  | 0x63 | 0x8b -> with_operand (i + 1) Load
  | 0x68 -> plain (i + 5 - at) On
  | 0x6a -> plain (i + 2 - at) On
  | 0x6b -> with_operand ~immediate:1 (i + 1) Load
  | 0x69 -> with_operand ~immediate:word (i + 1) Load
  | c when c land 0xf0 = 0x70 -> plain (i + 2 - at) (Branch (i8 (i + 1)))
  | 0x80 -> without_reg (with_operand ~immediate:1 (i + 1) Change)
  | (0x81 | 0x83) as c -> (
      let rm, operation, stop = operand (i + 1) in
      let immediate = if c = 0x81 then word else 1 in
      let amount =
        match immediate with 4 -> i32 b stop | 2 -> Bytes.get_int16_le b stop | _ -> i8 stop
      in
      let size = stop + immediate - at in
      let is action = { size; flow = On; action; rm; reg = -1 } in
      match operation land 7 with
      | 0 -> is (Add amount)
      | 5 -> is (Add (-amount))
      | 7 -> is Read
      | _ -> is Change)
  | 0x88 -> partly (with_operand (i + 1) Store)
  | 0x89 -> with_operand (i + 1) Store
  | 0x8d -> with_operand (i + 1) Address
  | 0x90 -> plain (i + 1 - at) On
  | c when c land 0xf8 = 0xb8 -> of_code ~immediate:(if rex land 8 <> 0 then 8 else word) i Set
  | 0xc1 -> without_reg (with_operand ~immediate:1 (i + 1) Change)
  | 0xd1 | 0xd3 -> without_reg (with_operand (i + 1) Change)
  | 0xc3 -> plain (i + 1 - at) Return
  | 0xc6 -> partly (without_reg (with_operand ~immediate:1 (i + 1) Set))
  | 0xc7 -> without_reg (with_operand ~immediate:word (i + 1) Set)
  | 0xcc -> plain (i + 1 - at) Stop
  | 0xe8 -> plain (i + 5 - at) Call
  | 0xe9 -> plain (i + 5 - at) (Jump (i32 b (i + 1)))
  | 0xeb -> plain (i + 2 - at) (Jump (i8 (i + 1)))
  | 0xf6 when (byte (i + 1) lsr 3) land 7 = 0 ->
      without_reg (with_operand ~immediate:1 (i + 1) Read)
  | 0xf7 when (byte (i + 1) lsr 3) land 7 = 0 ->
      without_reg (with_operand ~immediate:word (i + 1) Read)
  | 0xf7 when List.mem ((byte (i + 1) lsr 3) land 7) [ 2; 3 ] ->
      without_reg (with_operand (i + 1) Change)
  | 0xff -> (
      let rm, operation, stop = operand (i + 1) in
      let is action flow = { size = stop - at; flow; action; rm; reg = -1 } in
      match operation land 7 with
      | 0 | 1 -> is Change On
      | 2 -> is Read Call_to
      | 4 -> is Read Jump_to
      | 6 -> is Read On
      | _ -> other)
  | 0x8f -> without_reg (with_operand (i + 1) Set)
  | 0x0f -> (
      match byte (i + 1) with
      | 0x1f -> { (with_operand (i + 2) Nothing) with rm = No_operand; reg = -1 }
      | c when c land 0xf0 = 0x80 -> plain (i + 6 - at) (Branch (i32 b (i + 2)))
      | c when c land 0xf0 = 0x90 -> without_reg (with_operand (i + 2) Change)
      | 0xb6 | 0xb7 | 0xbe | 0xbf -> with_operand (i + 2) Load
      | 0xaf -> with_operand (i + 2) Read
      (* On floating-point numbers: their registers are none of ours. *)
      | 0x2a -> without_reg (with_operand (i + 2) Read)
      | 0x2c | 0x2d -> numbers (with_operand (i + 2) Load)
      | 0x11 | 0x29 -> numbers (without_reg (with_operand (i + 2) Set))
      | 0x10 | 0x28 | 0x2e | 0x2f | 0x51 | 0x54 | 0x57 | 0x58 | 0x59 | 0x5c | 0x5e ->
          numbers (without_reg (with_operand (i + 2) Read))
      | _ -> other)
  | _ -> other
