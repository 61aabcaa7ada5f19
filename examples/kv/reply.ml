type t = {
  mutable view : Cstruct.t; (* all of the buffer *)
  mutable first : int; (* what was not taken yet begins here *)
  mutable stop : int;
}

let create () = { view = Cstruct.empty; first = 0; stop = 0 }
let length b = b.stop - b.first

(* A buffer that serves several times. *)
let usual = 2048

(* Less room than that is not worth keeping. *)
let little = 256

let grow b n =
  let have = length b in
  let size = have + n in
  (* Those that grow often do so by half. *)
  let size = if have = 0 then Int.max usual size else Int.max size (have + (have / 2)) in
  let view = Cstruct.create_unsafe size in
  Cstruct.blit b.view b.first view 0 have;
  b.view <- view;
  b.first <- 0;
  b.stop <- have

let reserve b n = if b.stop + n > Cstruct.length b.view then grow b n

(* What was taken stays as it is: others follow behind it. *)
let take b =
  let taken = Cstruct.sub b.view b.first (length b) in
  if Cstruct.length b.view > usual || Cstruct.length b.view - b.stop < little then (
    b.view <- Cstruct.empty;
    b.stop <- 0);
  b.first <- b.stop;
  taken

let buffer b = b.view.Cstruct.buffer
let stop b = b.stop
let set_stop b stop = b.stop <- stop

(* {1 What is appended} *)

let string b s =
  let n = String.length s in
  reserve b n;
  Cstruct.blit_from_string s 0 b.view b.stop n;
  b.stop <- b.stop + n

let[@inline] char b c =
  Bigarray.Array1.set b.view.Cstruct.buffer b.stop c;
  b.stop <- b.stop + 1

let[@inline] line_end b =
  char b '\r';
  char b '\n'

(* The digits of a number that is not positive, as there is one more of those than of positive ones. *)
let rec digits b n =
  if n <= -10 then digits b (n / 10);
  char b (Char.unsafe_chr (Char.code '0' - (n mod 10)))

(* The sign, and the longest number with its line's end. *)
let longest = 32

let line b sign n =
  reserve b longest;
  char b sign;
  if n < 0 then (
    char b '-';
    digits b n)
  else digits b (-n);
  line_end b

let text b sign s =
  reserve b (String.length s + 3);
  char b sign;
  string b s;
  line_end b

let ok b =
  reserve b longest;
  char b '+';
  char b 'O';
  char b 'K';
  line_end b

let simple b s = text b '+' s

let shown word =
  let printable c = if c >= ' ' && c <= '~' then c else '?' in
  String.map printable (if String.length word > 64 then String.sub word 0 64 else word)

let failure b s = text b '-' s
let error b s = failure b ("ERR " ^ s)
let integer b n = line b ':' n
let integer64 b n = text b ':' (Int64.to_string n)
let array b n = line b '*' n

let bulk b = function
  | None -> string b "$-1\r\n"
  | Some s ->
      (* All or nothing of it, should there be no memory. *)
      reserve b (longest + String.length s + 2);
      line b '$' (String.length s);
      string b s;
      line_end b
