type checksum = [ `Unknown | `Valid | `Blank ]
type t = { data : Cstruct.t; checksum : checksum; gso_size : int }

let v ?(checksum = `Unknown) ?(gso_size = 0) data = { data; checksum; gso_size }

let pp ppf t =
  let checksum =
    match t.checksum with `Unknown -> "unknown" | `Valid -> "valid" | `Blank -> "blank"
  in
  Fmt.pf ppf "%d bytes, checksum %s" (Cstruct.length t.data) checksum;
  if t.gso_size > 0 then Fmt.pf ppf ", segments of %d" t.gso_size
