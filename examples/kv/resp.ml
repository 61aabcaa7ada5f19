type t = { mutable bytes : Bytes.t; mutable start : int; mutable stop : int }

let max_string = 1 lsl 20
let max_words = 1024
let max_request = 1 lsl 22
let max_line = 65536
let create () = { bytes = Bytes.create 4096; start = 0; stop = 0 }

(* Room for [n] more bytes: by moving what there is to the front, or in a larger buffer. *)
let make_room t n =
  let have = t.stop - t.start in
  if t.stop + n > Bytes.length t.bytes then (
    let larger =
      if 2 * (have + n) <= Bytes.length t.bytes then t.bytes else Bytes.create (2 * (have + n))
    in
    Bytes.blit t.bytes t.start larger 0 have;
    t.bytes <- larger;
    t.start <- 0;
    t.stop <- have)

let feed t b =
  let n = Cstruct.length b in
  make_room t n;
  Cstruct.blit_to_bytes b 0 t.bytes t.stop n;
  t.stop <- t.stop + n

exception More
exception Malformed of string

(* The line at [at], and where the next begins. *)
let line t at =
  match Bytes.index_from_opt t.bytes at '\n' with
  | Some i when i < t.stop ->
      let last = if i > at && Bytes.get t.bytes (i - 1) = '\r' then i - 1 else i in
      (Bytes.sub_string t.bytes at (last - at), i + 1)
  | Some _ | None ->
      if t.stop - at > max_line then raise (Malformed "too long a line") else raise More

(* A line like [*3]. *)
let count t at ~sign ~most =
  if at >= t.stop then raise More;
  let text, next = line t at in
  if text = "" || text.[0] <> sign then raise (Malformed (Printf.sprintf "expected '%c'" sign));
  match int_of_string_opt (String.sub text 1 (String.length text - 1)) with
  | Some n when n >= 0 && n <= most -> (n, next)
  | Some _ | None -> raise (Malformed "invalid length")

let rec strings t at n words =
  if n = 0 then (List.rev words, at)
  else
    let length, at = count t at ~sign:'$' ~most:max_string in
    if at + length + 2 > t.stop then raise More;
    strings t (at + length + 2) (n - 1) (Bytes.sub_string t.bytes at length :: words)

let request t =
  if t.start = t.stop then raise More;
  if Bytes.get t.bytes t.start = '*' then
    let n, at = count t t.start ~sign:'*' ~most:max_words in
    strings t at n []
  else
    let text, at = line t t.start in
    (List.filter (( <> ) "") (String.split_on_char ' ' text), at)

let next t =
  match request t with
  | words, at ->
      t.start <- at;
      `Request words
  | exception More ->
      if t.stop - t.start > max_request then `Malformed "too large a request" else `More
  | exception Malformed m -> `Malformed m
