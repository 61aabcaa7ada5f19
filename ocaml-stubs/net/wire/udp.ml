let header_length = 8

type t = { src_port : int; dst_port : int; length : int; checksum : int }
type error = Truncated | Bad_length of int

let pp_error ppf = function
  | Truncated -> Fmt.string ppf "truncated UDP datagram"
  | Bad_length n -> Fmt.pf ppf "UDP length of %d bytes" n

let pp ppf t = Fmt.pf ppf "UDP %d -> %d, %d bytes" t.src_port t.dst_port (t.length - header_length)

let parse b =
  if Cstruct.length b < header_length then Error Truncated
  else
    let length = Field.u16 b 4 in
    if length < header_length then Error (Bad_length length)
    else if length > Cstruct.length b then Error Truncated
    else Ok { src_port = Field.u16 b 0; dst_port = Field.u16 b 2; length; checksum = Field.u16 b 6 }

let payload t b = Cstruct.sub b header_length (t.length - header_length)

let verify ~pseudo t b =
  t.checksum = 0 || Checksum.is_valid (Checksum.bytes pseudo (Cstruct.sub b 0 t.length))

let emit ~src_port ~dst_port ?pseudo ~payload b =
  let length = header_length + Cstruct.lenv payload in
  if length > 0xffff then invalid_arg "Udp.emit: payload";
  Field.set_u16 b 0 src_port;
  Field.set_u16 b 2 dst_port;
  Field.set_u16 b 4 length;
  Field.set_u16 b 6 0;
  match pseudo with
  | None -> ()
  | Some pseudo ->
      let header = Checksum.bytes pseudo (Cstruct.sub b 0 header_length) in
      (* Zero means "none": a sum of zero is sent as its other representation. *)
      let field = Checksum.finish (Checksum.fragments header payload) in
      Field.set_u16 b 6 (if field = 0 then 0xffff else field)
