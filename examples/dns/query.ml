type header = { id : int; opcode : int; recursion_desired : bool }
type question = { name : string; kind : int; class_ : int }
type edns = { size : int; version : int; dnssec_ok : bool }

type t =
  | Question of header * question * edns option
  | Malformed of header
  | Other of header
  | Nothing

let header_length = 12
let type_opt = 41
let max_name = 255
let u16 = Cstruct.BE.get_uint16

let name_end ~pointers b start =
  let rec go at =
    if at >= Cstruct.length b then None
    else
      match Cstruct.get_uint8 b at with
      | 0 -> if at + 1 - start <= max_name then Some (at + 1) else None
      | n when n < 64 -> go (at + 1 + n)
      | n when n >= 192 && pointers && at + 2 <= Cstruct.length b -> Some (at + 2)
      | _ -> None
  in
  go start

exception Malformed_message

let malformed () = raise_notrace Malformed_message
let need b at n = if at + n > Cstruct.length b then malformed ()
let end_of ~pointers b at = match name_end ~pointers b at with Some e -> e | None -> malformed ()

(* There is nothing before a question that its name could point to. *)
let question b =
  let at = end_of ~pointers:false b header_length in
  need b at 4;
  let name = Cstruct.to_string ~off:header_length ~len:(at - header_length) b in
  ({ name; kind = u16 b at; class_ = u16 b (at + 2) }, at + 4)

(* Walks the records; one of the last [additional] ones may be an OPT. *)
let rec records b at ~others ~additional edns =
  if others + additional = 0 then edns
  else
    let fields = end_of ~pointers:true b at in
    need b fields 10;
    let next = fields + 10 + u16 b (fields + 8) in
    need b next 0;
    if others > 0 then records b next ~others:(others - 1) ~additional edns
    else
      let edns =
        if u16 b fields <> type_opt then edns
        else if Option.is_some edns || Cstruct.get_uint8 b at <> 0 then malformed ()
        else
          let version = Cstruct.get_uint8 b (fields + 5) in
          let dnssec_ok = Cstruct.get_uint8 b (fields + 6) land 0x80 <> 0 in
          Some { size = u16 b (fields + 2); version; dnssec_ok }
      in
      records b next ~others ~additional:(additional - 1) edns

let parse b =
  if Cstruct.length b < header_length then Nothing
  else
    let flags = u16 b 2 in
    let opcode = (flags lsr 11) land 15 in
    let header = { id = u16 b 0; opcode; recursion_desired = flags land 0x0100 <> 0 } in
    if flags land 0x8000 <> 0 then Nothing
    else if opcode <> 0 then Other header
    else if u16 b 4 <> 1 then Malformed header
    else
      match
        let question, at = question b in
        let others = u16 b 6 + u16 b 8 in
        (question, records b at ~others ~additional:(u16 b 10) None)
      with
      | question, edns -> Question (header, question, edns)
      | exception Malformed_message -> Malformed header
