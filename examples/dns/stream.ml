type t = {
  own : Buffer.t; (* the beginning of an incomplete message *)
  mutable rest : Cstruct.t; (* not parsed yet *)
}

let longest = 4096
let create () = { own = Buffer.create 0; rest = Cstruct.empty }
let feed t b = t.rest <- (if Cstruct.is_empty t.rest then b else Cstruct.append t.rest b)

(* Moves bytes until [n] of the message are there. *)
let gather t n =
  let missing = max 0 (n - Buffer.length t.own) in
  let moved = min missing (Cstruct.length t.rest) in
  Buffer.add_string t.own (Cstruct.to_string ~len:moved t.rest);
  t.rest <- Cstruct.shift t.rest moved;
  moved = missing

let next t =
  let more () =
    t.rest <- Cstruct.empty;
    if Buffer.length t.own = 0 then Buffer.reset t.own;
    `More
  in
  if Buffer.length t.own = 0 && Cstruct.is_empty t.rest then more ()
  else if not (gather t 2) then more ()
  else
    let byte i = Char.code (Buffer.nth t.own i) in
    let length = (byte 0 lsl 8) lor byte 1 in
    if length > longest then `Too_long
    else if not (gather t (2 + length)) then more ()
    else
      let message = Cstruct.of_string (Buffer.sub t.own 2 length) in
      Buffer.clear t.own;
      `Message message

let frame message =
  let length = Cstruct.create_unsafe 2 in
  Cstruct.BE.set_uint16 length 0 (Cstruct.length message);
  [ length; message ]
