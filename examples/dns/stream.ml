type t = { mutable rest : Cstruct.t }

let create () = { rest = Cstruct.empty }
let feed t b = t.rest <- (if Cstruct.is_empty t.rest then b else Cstruct.append t.rest b)

let next t =
  if Cstruct.length t.rest < 2 then None
  else
    let length = Cstruct.BE.get_uint16 t.rest 0 in
    if Cstruct.length t.rest < 2 + length then None
    else
      let message = Cstruct.sub t.rest 2 length in
      t.rest <- Cstruct.shift t.rest (2 + length);
      Some message

let frame message =
  let length = Cstruct.create_unsafe 2 in
  Cstruct.BE.set_uint16 length 0 (Cstruct.length message);
  [ length; message ]
