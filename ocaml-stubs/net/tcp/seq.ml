type t = int

let mask = 0xffff_ffff
let add a n = (a + n) land mask

(* Shifting the difference to the top of the word and back extends its sign without a branch. *)
let diff a b = ((a - b) lsl (Sys.int_size - 32)) asr (Sys.int_size - 32)
let lt a b = diff a b < 0
let leq a b = diff a b <= 0
let gt a b = diff a b > 0
let geq a b = diff a b >= 0
let min a b = if lt a b then a else b
let max a b = if gt a b then a else b
let between s ~low ~high = leq low s && lt s high
