type t = {
  most : int; (* that a request may take *)
  mutable bytes : Bytes.t;
  mutable start : int; (* the current request begins here; what is before it was answered *)
  mutable at : int; (* and it was parsed up to here *)
  mutable stop : int;
  mutable scanned : int; (* there is no line end between [at] and here *)
  mutable missing : int; (* strings missing from it; 0: it is whole, or has not begun *)
  mutable length : int; (* of the next string; -1: not known yet *)
  mutable count : int; (* of its strings so far *)
  mutable ranges : int array; (* of each, where it is: see [range] *)
}

let max_string = 1 lsl 20
let max_words = 1024
let max_request = 1 lsl 22
let max_line = 65536

(* The overhead of a word in a list. *)
let word_cost = 48
let cost words = List.fold_left (fun sum word -> sum + word_cost + String.length word) 0 words

let create ?(most = max_request) () =
  {
    most = Int.min most max_request;
    bytes = Bytes.empty;
    start = 0;
    at = 0;
    stop = 0;
    scanned = 0;
    missing = 0;
    length = -1;
    count = 0;
    ranges = [||];
  }

let held t = t.stop - t.start + (word_cost * t.count)

(* A buffer that may be mostly empty, in bytes. *)
let small_buffer = 8192

let kept t =
  let size = Bytes.length t.bytes in
  if size > small_buffer then Int.max (held t) (size / 2) else held t

(* {1 Bytes} *)

(* Usually whole requests arrive, so the first buffer has no room for more. A large one is of half as much again, since
   it is the whole of a large request. *)
let larger size = Bytes.create (if size <= 65536 then max 512 (2 * size) else size + (size / 2))

(* The contents are in [bytes] from now on, from its beginning. *)
let move t bytes =
  let have = t.stop - t.start in
  Bytes.blit t.bytes t.start bytes 0 have;
  t.bytes <- bytes;
  t.at <- t.at - t.start;
  t.scanned <- t.scanned - t.start;
  t.start <- 0;
  t.stop <- have

(* Makes room for [n] more bytes, by moving the contents to the front or to a larger buffer. *)
let make_room t n =
  if t.stop + n > Bytes.length t.bytes then
    let have = t.stop - t.start in
    move t
      (if have = 0 then Bytes.create n
       else if have + n + ((have + n) / 4) <= Bytes.length t.bytes then t.bytes
       else larger (have + n))

let feed t b =
  let n = Cstruct.length b in
  make_room t n;
  Cstruct.blit_to_bytes b 0 t.bytes t.stop n;
  t.stop <- t.stop + n

(* Ranges that a connection keeps between requests, and within a pipeline. *)
let few_words = 8
let many_words = 64
let fit t = move t (Bytes.create (t.stop - t.start))

(* The request before it is answered. Between requests a connection has no buffer; and within a pipeline it keeps one
   only if the last request or what has come of the next one needs a good part of it. *)
let begin_request t =
  let last = t.at - t.start in
  t.count <- 0;
  t.start <- t.at;
  if Array.length t.ranges > many_words then t.ranges <- [||];
  let size = Bytes.length t.bytes and have = t.stop - t.start in
  if have > 0 then (if size > small_buffer && 4 * Int.max last have < size then fit t)
  else (
    t.bytes <- Bytes.empty;
    if Array.length t.ranges > few_words then t.ranges <- [||];
    t.start <- 0;
    t.at <- 0;
    t.stop <- 0;
    t.scanned <- 0)

(* {1 Parsing}

   Nothing is parsed twice, however small the pieces are: [t] keeps what was parsed, and how far a line was searched for
   its end. Only a line with a number, which is short, is looked at again. Its strings stay where they are. *)

exception More
exception Malformed of string
exception Too_large

let invalid_length = Malformed "invalid length"
let most_digits = 19
let byte bytes i = Char.code (Bytes.unsafe_get bytes i)

(* The number that begins at [from] and continues at [i], [n] being the value of its digits so far, in a line of any
   form. *)
let rec number t ~from i ~most n =
  if i >= t.stop then raise_notrace More
  else
    let c = Bytes.get t.bytes i in
    if '0' <= c && c <= '9' && n <= most && i - t.at <= most_digits then
      number t ~from (i + 1) ~most ((10 * n) + Char.code c - Char.code '0')
    else
      let last = if c = '\r' then i + 1 else i in
      if last >= t.stop then raise_notrace More
      else if Bytes.get t.bytes last <> '\n' || i = from || n > most then
        raise_notrace invalid_length
      else (
        t.at <- last + 1;
        n)

let any_count t ~sign ~most =
  if t.at = t.stop then raise_notrace More
  else if Bytes.get t.bytes t.at <> sign then
    raise_notrace (Malformed (Printf.sprintf "expected '%c'" sign))
  else
    let from = t.at + 1 in
    if sign = '*' && from < t.stop && Bytes.get t.bytes from = '-' then (
      (* An array that is none: a request of no words, as in Redis. *)
      ignore (number t ~from:(from + 1) (from + 1) ~most 0 : int);
      0)
    else number t ~from from ~most 0

(* Eight bytes, the first of them lowest, four and two. *)
external get64 : Bytes.t -> int -> int64 = "%caml_bytes_get64"
external get32 : Bytes.t -> int -> int32 = "%caml_bytes_get32"
external get16 : Bytes.t -> int -> int = "%caml_bytes_get16"

let[@inline] four bytes i = Int32.to_int (get32 bytes i)
let[@inline] digit v shift = (v lsr shift) land 15

(* A line like [*3], of a number up to [most], which is 999 or more. Nearly all of them have one to three digits, and end
   as they should: [*d\r\n], [*dd\r] and [*ddd] are recognised by four bytes at a time, in which a digit is 0x3 and its
   value. The rest is for [any_count]. *)
let[@inline] count t ~sign ~most =
  let bytes = t.bytes and at = t.at in
  if t.stop - at < 6 then any_count t ~sign ~most
  else
    let v = four bytes at and s = Char.code sign in
    if v land 0xfffff0ff = 0x0a0d3000 lor s && digit v 8 <= 9 then (
      t.at <- at + 4;
      digit v 8)
    else if
      v land 0xfff0f0ff = 0x0d303000 lor s
      && byte bytes (at + 4) = 10
      && digit v 8 <= 9
      && digit v 16 <= 9
    then (
      t.at <- at + 5;
      (10 * digit v 8) + digit v 16)
    else if
      v land 0xf0f0f0ff = 0x30303000 lor s
      && get16 bytes (at + 4) = 0x0a0d
      && digit v 8 <= 9
      && digit v 16 <= 9
      && digit v 24 <= 9
    then (
      t.at <- at + 6;
      (100 * digit v 8) + (10 * digit v 16) + digit v 24)
    else any_count t ~sign ~most

(* Where a string is, as one number: its length in the low bits, and above them where it begins, counted from [start]. *)
let length_bits = 24
let[@inline] range position length = (position lsl length_bits) lor length

let more_ranges t =
  let ranges = Array.make (Int.max few_words (2 * t.count)) 0 in
  Array.blit t.ranges 0 ranges 0 t.count;
  t.ranges <- ranges

let[@inline] add t at length =
  t.ranges.(t.count) <- range (at - t.start) length;
  t.count <- t.count + 1

let rec strings t =
  if t.missing > 0 then (
    if t.count = Array.length t.ranges then more_ranges t;
    if t.length < 0 then t.length <- count t ~sign:'$' ~most:max_string;
    let length = t.length and at = t.at in
    let takes = at - t.start + (word_cost * t.count) + length in
    if takes > t.most then
      raise_notrace (if takes > max_request then Malformed "too large a request" else Too_large);
    if t.stop - at < length + 2 then raise_notrace More;
    add t at length;
    t.at <- at + length + 2;
    t.length <- -1;
    t.missing <- t.missing - 1;
    strings t)

let rec line_end t i =
  if i >= t.stop then (
    t.scanned <- t.stop;
    if t.stop - t.at > max_line then raise_notrace (Malformed "too long a line")
    else raise_notrace More)
  else if Bytes.get t.bytes i = '\n' then i
  else line_end t (i + 1)

(* The words from [i] on to [last], with spaces between them; one begins at [from]. *)
let rec words_of_line t ~from i last =
  if i < last && Bytes.get t.bytes i <> ' ' then words_of_line t ~from (i + 1) last
  else (
    if i > from then (
      if t.count = max_words then raise_notrace (Malformed "too many words");
      if t.count = Array.length t.ranges then more_ranges t;
      add t from (i - from));
    if i < last then words_of_line t ~from:(i + 1) (i + 1) last)

let line t =
  let i = line_end t (Int.max t.at t.scanned) in
  let last = if i > t.at && Bytes.get t.bytes (i - 1) = '\r' then i - 1 else i in
  words_of_line t ~from:t.at t.at last;
  t.at <- i + 1

(* How nearly all requests begin, in these eight bytes: two words, or three, the first of them of three letters, as GET,
   SET and DEL. It is known where that word is, and what comes next. *)
let two_words = 0x0a0d33240a0d322aL (* *2\r\n$3\r\n *)
let three_words = 0x0a0d33240a0d332aL
let first_word = 8
let first_length = 3

let short_command t ~words =
  if Array.length t.ranges = 0 then more_ranges t;
  add t (t.at + first_word) first_length;
  t.at <- t.at + first_word + first_length + 2;
  t.missing <- words - 1;
  strings t

let any_request t =
  if t.at = t.stop then raise_notrace More
  else if Bytes.get t.bytes t.at = '*' then (
    t.missing <- count t ~sign:'*' ~most:max_words;
    strings t)
  else line t

let request t =
  if t.missing > 0 then strings t
  else (
    begin_request t;
    if t.stop - t.at < first_word + first_length + 2 then any_request t
    else
      let first = get64 t.bytes t.at in
      if Int64.equal first two_words then short_command t ~words:2
      else if Int64.equal first three_words then short_command t ~words:3
      else any_request t)

let next t =
  match request t with
  | () -> `Request
  | exception More -> `More
  | exception Malformed m -> `Malformed m
  | exception Too_large -> `Too_large

(* {1 The request that is whole} *)

let count t = t.count
let whole_cost t = t.at - t.start + (word_cost * t.count)
let bytes t = t.bytes
let[@inline] position t i = t.start + (t.ranges.(i) lsr length_bits)
let[@inline] length t i = t.ranges.(i) land ((1 lsl length_bits) - 1)
let word t i = Bytes.sub_string t.bytes (position t i) (length t i)

(* In both cases of a letter all bits are the same but one. Behind a word there is at least one byte, the end of its
   line or a space, and there may be no more: of a word with fewer than three bytes, four cannot be read. *)
let of_letters v length =
  if length = 3 then v land 0xdfdfdf else if length = 4 then v land 0xdfdfdfdf else 0

let letters name = of_letters (four (Bytes.of_string (name ^ "\n")) 0) (String.length name)

let command t =
  if t.count = 0 || length t 0 < 3 then 0 else of_letters (four t.bytes (position t 0)) (length t 0)

let rec words_from t i tail = if i < 0 then tail else words_from t (i - 1) (word t i :: tail)

let words t =
  match words_from t (t.count - 1) [] with
  | [] -> []
  | command :: arguments -> String.uppercase_ascii command :: arguments
