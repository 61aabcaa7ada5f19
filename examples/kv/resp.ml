type t = {
  longest : int; (* string *)
  mutable bytes : Bytes.t;
  mutable start : int; (* everything before it was parsed *)
  mutable stop : int;
  mutable scanned : int; (* there is no line end between [start] and here *)
  mutable missing : int; (* strings missing from the current request; 0: there is none *)
  mutable length : int; (* of the next string; -1: not known yet *)
  mutable words : string list; (* complete strings, the latest first *)
  mutable size : int; (* bytes that [words] take *)
}

let max_string = 1 lsl 20
let max_words = 1024
let max_request = 1 lsl 22
let max_line = 65536

(* The overhead of a word in a list. *)
let word_cost = 48
let cost words = List.fold_left (fun sum word -> sum + word_cost + String.length word) 0 words

let create ?(max_string = max_string) () =
  {
    longest = min max_string (1 lsl 20);
    bytes = Bytes.empty;
    start = 0;
    stop = 0;
    scanned = 0;
    missing = 0;
    length = -1;
    words = [];
    size = 0;
  }

let held t = t.stop - t.start + t.size

(* Makes room for [n] more bytes, by moving the contents to the front or to a larger buffer. Usually whole requests
   arrive, so the first buffer has no room for more. *)
let make_room t n =
  let have = t.stop - t.start in
  if t.stop + n > Bytes.length t.bytes then (
    let larger =
      if have = 0 then Bytes.create n
      else if 2 * (have + n) <= Bytes.length t.bytes then t.bytes
      else Bytes.create (max 512 (2 * (have + n)))
    in
    Bytes.blit t.bytes t.start larger 0 have;
    t.bytes <- larger;
    t.scanned <- t.scanned - t.start;
    t.start <- 0;
    t.stop <- have)

let feed t b =
  let n = Cstruct.length b in
  make_room t n;
  Cstruct.blit_to_bytes b 0 t.bytes t.stop n;
  t.stop <- t.stop + n

(* Between requests a connection has no buffer. *)
let consume t at =
  t.start <- at;
  t.scanned <- at;
  if t.start = t.stop then (
    t.bytes <- Bytes.empty;
    t.start <- 0;
    t.stop <- 0;
    t.scanned <- 0)

exception More
exception Malformed of string

(* Nothing is parsed twice, however small the pieces are: [t] keeps what was parsed, and how far a line was searched for
   its end. *)

let rec line_end t i =
  if i >= t.stop then (
    t.scanned <- t.stop;
    if t.stop - t.start > max_line then raise (Malformed "too long a line") else raise More)
  else if Bytes.get t.bytes i = '\n' then i
  else line_end t (i + 1)

let line t =
  let i = line_end t (Int.max t.start t.scanned) in
  let last = if i > t.start && Bytes.get t.bytes (i - 1) = '\r' then i - 1 else i in
  let text = Bytes.sub_string t.bytes t.start (last - t.start) in
  consume t (i + 1);
  text

let invalid_length = Malformed "invalid length"
let most_digits = 19

(* The number that continues at [i], [n] being the value of its digits so far. A line this short may be parsed again. *)
let rec number t i ~most n =
  if i >= t.stop then raise More
  else
    let c = Bytes.get t.bytes i in
    if '0' <= c && c <= '9' && n <= most && i - t.start <= most_digits then
      number t (i + 1) ~most ((10 * n) + Char.code c - Char.code '0')
    else
      let last = if c = '\r' then i + 1 else i in
      if last >= t.stop then raise More
      else if Bytes.get t.bytes last <> '\n' || i = t.start + 1 || n > most then
        raise invalid_length
      else (
        consume t (last + 1);
        n)

(* A line like [*3]. *)
let count t ~sign ~most =
  if t.start = t.stop then raise More
  else if Bytes.get t.bytes t.start <> sign then
    raise (Malformed (Printf.sprintf "expected '%c'" sign))
  else number t (t.start + 1) ~most 0

let rec is_upper s i = i = String.length s || ((s.[i] < 'a' || s.[i] > 'z') && is_upper s (i + 1))
let command word = if is_upper word 0 then word else String.uppercase_ascii word

let rec strings t =
  if t.missing = 0 then (
    let words = List.rev t.words in
    t.words <- [];
    t.size <- 0;
    words)
  else (
    if t.length < 0 then t.length <- count t ~sign:'$' ~most:t.longest;
    if t.size + t.length > max_request then raise (Malformed "too large a request");
    if t.stop - t.start < t.length + 2 then raise More;
    let word = Bytes.sub_string t.bytes t.start t.length in
    t.words <- (match t.words with [] -> [ command word ] | words -> word :: words);
    t.size <- t.size + t.length + word_cost;
    consume t (t.start + t.length + 2);
    t.length <- -1;
    t.missing <- t.missing - 1;
    strings t)

let request t =
  if t.missing > 0 then strings t
  else if t.start = t.stop then raise More
  else if Bytes.get t.bytes t.start = '*' then (
    t.missing <- count t ~sign:'*' ~most:max_words;
    strings t)
  else
    let words = List.filter (( <> ) "") (String.split_on_char ' ' (line t)) in
    if List.compare_length_with words max_words > 0 then raise (Malformed "too many words");
    match words with [] -> [] | first :: rest -> command first :: rest

let next t =
  match request t with
  | words -> `Request words
  | exception More -> `More
  | exception Malformed m -> `Malformed m
