(* Of each aligned word of four bytes, one byte of a hash of the word's number; the multiplier is
   Knuth's. *)
let byte ~stream place =
  let word = ((place lsr 2) + (stream * 7919) + 1) * 0x9e3779b1 land 0xffffffff in
  Char.unsafe_chr ((word lsr (8 * (place land 3))) land 0xff)
