let header_length = 8

type unreachable =
  | Network
  | Host
  | Protocol
  | Port
  | Fragmentation_needed of int
  | Unreachable_code of int

type t =
  | Echo_request of { id : int; seq : int; data : Cstruct.t }
  | Echo_reply of { id : int; seq : int; data : Cstruct.t }
  | Unreachable of { reason : unreachable; quoted : Cstruct.t }
  | Time_exceeded of { reassembly : bool; quoted : Cstruct.t }
  | Parameter_problem of { pointer : int; quoted : Cstruct.t }
  | Redirect of { gateway : Ipaddr.V4.t; quoted : Cstruct.t }

type error = Truncated | Bad_checksum | Unknown_type of { kind : int; code : int }

let pp_error ppf = function
  | Truncated -> Fmt.string ppf "truncated ICMP message"
  | Bad_checksum -> Fmt.string ppf "bad ICMP checksum"
  | Unknown_type { kind; code } -> Fmt.pf ppf "unknown ICMP type %d, code %d" kind code

let pp_unreachable ppf = function
  | Network -> Fmt.string ppf "network"
  | Host -> Fmt.string ppf "host"
  | Protocol -> Fmt.string ppf "protocol"
  | Port -> Fmt.string ppf "port"
  | Fragmentation_needed mtu -> Fmt.pf ppf "fragmentation needed, mtu %d" mtu
  | Unreachable_code n -> Fmt.pf ppf "code %d" n

let pp ppf = function
  | Echo_request { id; seq; data } ->
      Fmt.pf ppf "echo request %d/%d, %d bytes" id seq (Cstruct.length data)
  | Echo_reply { id; seq; data } ->
      Fmt.pf ppf "echo reply %d/%d, %d bytes" id seq (Cstruct.length data)
  | Unreachable { reason; _ } -> Fmt.pf ppf "unreachable: %a" pp_unreachable reason
  | Time_exceeded { reassembly; _ } ->
      Fmt.pf ppf "time exceeded%s" (if reassembly then " in reassembly" else "")
  | Parameter_problem { pointer; _ } -> Fmt.pf ppf "parameter problem at byte %d" pointer
  | Redirect { gateway; _ } -> Fmt.pf ppf "redirect to %a" Ipaddr.V4.pp gateway

let parse b =
  if Cstruct.length b < header_length then Error Truncated
  else if not (Checksum.is_valid (Checksum.bytes Checksum.zero b)) then Error Bad_checksum
  else
    let rest = Cstruct.shift b header_length in
    let high = Field.u16 b 4 and low = Field.u16 b 6 in
    match (Field.u8 b 0, Field.u8 b 1) with
    | 8, 0 -> Ok (Echo_request { id = high; seq = low; data = rest })
    | 0, 0 -> Ok (Echo_reply { id = high; seq = low; data = rest })
    | 3, code ->
        let reason =
          match code with
          | 0 -> Network
          | 1 -> Host
          | 2 -> Protocol
          | 3 -> Port
          | 4 -> Fragmentation_needed low
          | n -> Unreachable_code n
        in
        Ok (Unreachable { reason; quoted = rest })
    | 11, ((0 | 1) as code) -> Ok (Time_exceeded { reassembly = code = 1; quoted = rest })
    | 12, 0 -> Ok (Parameter_problem { pointer = high lsr 8; quoted = rest })
    | 5, (0 | 1 | 2 | 3) -> Ok (Redirect { gateway = Field.v4 b 4; quoted = rest })
    | kind, code -> Error (Unknown_type { kind; code })

let data = function
  | Echo_request { data; _ } | Echo_reply { data; _ } -> data
  | Unreachable { quoted; _ }
  | Time_exceeded { quoted; _ }
  | Parameter_problem { quoted; _ }
  | Redirect { quoted; _ } ->
      quoted

let length t = header_length + Cstruct.length (data t)

let emit t b =
  let header kind code high low =
    Field.set_u8 b 0 kind;
    Field.set_u8 b 1 code;
    Field.set_u16 b 2 0;
    Field.set_u16 b 4 high;
    Field.set_u16 b 6 low
  in
  (match t with
  | Echo_request { id; seq; _ } -> header 8 0 id seq
  | Echo_reply { id; seq; _ } -> header 0 0 id seq
  | Unreachable { reason; _ } ->
      let code, mtu =
        match reason with
        | Network -> (0, 0)
        | Host -> (1, 0)
        | Protocol -> (2, 0)
        | Port -> (3, 0)
        | Fragmentation_needed mtu -> (4, mtu)
        | Unreachable_code n -> (n, 0)
      in
      header 3 code 0 mtu
  | Time_exceeded { reassembly; _ } -> header 11 (Bool.to_int reassembly) 0 0
  | Parameter_problem { pointer; _ } -> header 12 0 (pointer lsl 8) 0
  | Redirect { gateway; _ } ->
      let gateway = Field.int_of_v4 gateway in
      header 5 1 (gateway lsr 16) (gateway land 0xffff));
  let data = data t in
  Cstruct.blit data 0 b header_length (Cstruct.length data);
  Field.set_u16 b 2 (Checksum.finish (Checksum.bytes Checksum.zero (Cstruct.sub b 0 (length t))))
