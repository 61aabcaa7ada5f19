let line_end b = Buffer.add_string b "\r\n"

(* The digits of a number that is not positive, as there is one more of those than of positive ones. *)
let rec digits b n =
  if n <= -10 then digits b (n / 10);
  Buffer.add_char b (Char.unsafe_chr (Char.code '0' - (n mod 10)))

let line b sign n =
  Buffer.add_char b sign;
  if n < 0 then (
    Buffer.add_char b '-';
    digits b n)
  else digits b (-n);
  line_end b

let text b sign s =
  Buffer.add_char b sign;
  Buffer.add_string b s;
  line_end b

let simple b s = text b '+' s
let failure b s = text b '-' s
let error b s = failure b ("ERR " ^ s)
let integer b n = line b ':' n
let integer64 b n = text b ':' (Int64.to_string n)
let array b n = line b '*' n

let bulk b = function
  | None -> Buffer.add_string b "$-1\r\n"
  | Some s ->
      line b '$' (String.length s);
      Buffer.add_string b s;
      line_end b
