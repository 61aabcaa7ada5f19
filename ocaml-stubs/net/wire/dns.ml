type name = [ `raw ] Domain_name.t
type kind = A | Aaaa

type data =
  | Address of Ipaddr.V4.t
  | Address6 of Ipaddr.V6.t
  | Alias of name
  | Authority of { minimum : int }
  | Other of int

type record = { name : name; ttl : int; data : data }

type t = {
  id : int;
  response : bool;
  truncated : bool;
  rcode : int;
  question : name * kind;
  answers : record list;
  authority : record list;
  damaged : bool;
}

type error = Truncated | Bad_name | Bad_record | Unsupported

let pp_error ppf e =
  Fmt.string ppf
    (match e with
    | Truncated -> "truncated DNS message"
    | Bad_name -> "bad name in a DNS message"
    | Bad_record -> "bad record in a DNS message"
    | Unsupported -> "unsupported DNS message")

let pp_kind ppf k = Fmt.string ppf (match k with A -> "A" | Aaaa -> "AAAA")

let pp ppf t =
  let name, kind = t.question in
  Fmt.pf ppf "%s %04x %a %a, rcode %d, %d answers%s"
    (if t.response then "response" else "query")
    t.id pp_kind kind Domain_name.pp name t.rcode (List.length t.answers)
    (if t.truncated then ", truncated" else "")

let header_length = 12
let class_internet = 1
let type_a = 1
let type_cname = 5
let type_soa = 6
let type_aaaa = 28
let type_opt = 41

exception Stop of error

let stop e = raise_notrace (Stop e)
let need b off n = if off + n > Cstruct.length b then stop Truncated

(* What the records that were read take in memory, about, in bytes: a name of 127 labels is read from a pointer of two
   bytes, so that a message of 64 KiB would take 30 MB. *)
type cost = { mutable spent : int; mutable damaged : bool (* one of them *) }

let label_cost = 72
let record_cost = 128

(* A name that starts at [off], and where what follows it begins. Each pointer must lead to before the
   name's own latest part, so that following them ends; 255 bytes bound the work besides. *)
let read_name cost b off =
  let rec labels acc size off limit after =
    need b off 1;
    let len = Field.u8 b off in
    if len = 0 then (List.rev acc, match after with Some a -> a | None -> off + 1)
    else if len land 0xc0 = 0xc0 then (
      need b off 2;
      let target = Field.u16 b off land 0x3fff in
      if target >= limit then stop Bad_name;
      let after = match after with Some _ -> after | None -> Some (off + 2) in
      labels acc size target target after)
    else if len land 0xc0 <> 0 || size + len + 1 > 254 then stop Bad_name
    else (
      need b (off + 1) len;
      let label = Cstruct.to_string ~off:(off + 1) ~len b in
      cost.spent <- cost.spent + label_cost + len;
      labels (label :: acc) (size + len + 1) (off + 1 + len) limit after)
  in
  let strings, after = labels [] 0 off off None in
  match Domain_name.of_strings strings with
  | Ok name -> (name, after)
  | Error (`Msg _) -> stop Bad_name

let read_data cost b kind off len =
  if kind = type_a then if len = 4 then Address (Field.v4 b off) else stop Bad_record
  else if kind = type_aaaa then if len = 16 then Address6 (Field.v6 b off) else stop Bad_record
  else if kind = type_cname then (
    let name, after = read_name cost b off in
    if after <> off + len then stop Bad_record;
    Alias name)
  else if kind = type_soa then (
    let _, off' = read_name cost b off in
    let _, off' = read_name cost b off' in
    if off' + 20 <> off + len then stop Bad_record;
    Authority { minimum = Field.u32 b (off' + 16) })
  else Other kind

let read_record cost b off =
  cost.spent <- cost.spent + record_cost;
  let name, off = read_name cost b off in
  need b off 10;
  let kind = Field.u16 b off and class_ = Field.u16 b (off + 2) in
  let ttl = Field.u32 b (off + 4) and len = Field.u16 b (off + 8) in
  let off = off + 10 in
  need b off len;
  let data =
    if class_ <> class_internet then Other kind
    else
      try read_data cost b kind off len
      with Stop _ ->
        cost.damaged <- true;
        Other kind
  in
  ({ name; ttl = (if ttl > 0x7fffffff then 0 else ttl); data }, off + len)

(* Of one section, and what all of them may take: the names of honest records are short. What is behind is not looked
   at. *)
let max_records = 256
let max_cost = 128 * 1024

let rec read_records cost b off n acc =
  if n = 0 || cost.spent >= max_cost then (List.rev acc, off)
  else
    let record, off = read_record cost b off in
    read_records cost b off (n - 1) (record :: acc)

let says_something r =
  match r.data with Address _ | Address6 _ | Alias _ -> true | Authority _ | Other _ -> false

let read b =
  let flags = Field.u16 b 2 in
  if flags land 0x7800 <> 0 || Field.u16 b 4 <> 1 then stop Unsupported;
  let cost = { spent = 0; damaged = false } in
  let name, off = read_name cost b header_length in
  need b off 4;
  let kind = Field.u16 b off in
  let kind = if kind = type_a then A else if kind = type_aaaa then Aaaa else stop Unsupported in
  if Field.u16 b (off + 2) <> class_internet then stop Unsupported;
  let truncated = flags land 0x0200 <> 0 in
  let off = off + 4 in
  (* What a truncated message carries is of no use: it will be asked again over TCP. *)
  let n = if truncated then 0 else Field.u16 b 6 in
  let answers, off = read_records cost b off (min n max_records) [] in
  (* One that is damaged is as good as absent, but not all of them: another server may do better. *)
  let damaged = cost.damaged in
  if damaged && not (List.exists says_something answers) then stop Bad_record;
  (* Who answers so much denies nothing. *)
  let m = if truncated || n > max_records || cost.spent >= max_cost then 0 else Field.u16 b 8 in
  let authority = try fst (read_records cost b off (min m max_records) []) with Stop _ -> [] in
  {
    id = Field.u16 b 0;
    response = flags land 0x8000 <> 0;
    truncated;
    rcode = flags land 15;
    question = (name, kind);
    answers;
    authority;
    damaged;
  }

let parse b =
  if Cstruct.length b < header_length then Error Truncated
  else match read b with t -> Ok t | exception Stop e -> Error e

let query ~id name kind =
  {
    id;
    response = false;
    truncated = false;
    rcode = 0;
    question = (name, kind);
    answers = [];
    authority = [];
    damaged = false;
  }

(* {1 Emitting} *)

let add16 buffer n = Buffer.add_uint16_be buffer (n land 0xffff)
let add32 buffer n = Buffer.add_int32_be buffer (Int32.of_int n)

let add_name buffer name =
  List.iter
    (fun label ->
      Buffer.add_uint8 buffer (String.length label);
      Buffer.add_string buffer label)
    (Domain_name.to_strings name);
  Buffer.add_uint8 buffer 0

let add_data data =
  let buffer = Buffer.create 32 in
  let kind =
    match data with
    | Address a ->
        Buffer.add_string buffer (Ipaddr.V4.to_octets a);
        type_a
    | Address6 a ->
        Buffer.add_string buffer (Ipaddr.V6.to_octets a);
        type_aaaa
    | Alias name ->
        add_name buffer name;
        type_cname
    | Authority { minimum } ->
        add_name buffer Domain_name.root;
        add_name buffer Domain_name.root;
        List.iter (add32 buffer) [ 0; 0; 0; 0; minimum ];
        type_soa
    | Other kind -> kind
  in
  (kind, Buffer.contents buffer)

let add_record buffer r =
  let kind, data = add_data r.data in
  add_name buffer r.name;
  add16 buffer kind;
  add16 buffer class_internet;
  add32 buffer r.ttl;
  add16 buffer (String.length data);
  Buffer.add_string buffer data

let emit ?payload_size t =
  let buffer = Buffer.create 128 in
  let name, kind = t.question in
  add16 buffer t.id;
  (* Recursion desired, and available in a response. *)
  add16 buffer
    ((if t.response then 0x8080 else 0)
    lor 0x0100
    lor (if t.truncated then 0x0200 else 0)
    lor t.rcode);
  add16 buffer 1;
  add16 buffer (List.length t.answers);
  add16 buffer (List.length t.authority);
  add16 buffer (if payload_size = None then 0 else 1);
  add_name buffer name;
  add16 buffer (match kind with A -> type_a | Aaaa -> type_aaaa);
  add16 buffer class_internet;
  List.iter (add_record buffer) t.answers;
  List.iter (add_record buffer) t.authority;
  let edns size =
    (* The root name, the type, the size in place of the class, no flags, no options. *)
    Buffer.add_uint8 buffer 0;
    add16 buffer type_opt;
    add16 buffer size;
    add32 buffer 0;
    add16 buffer 0
  in
  Option.iter edns payload_size;
  Cstruct.of_string (Buffer.contents buffer)
