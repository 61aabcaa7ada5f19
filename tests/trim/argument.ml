(* Only the functor knows what it uses of these. *)

let once s = String.concat s [ "<"; ">" ]
let between = String.make 2 ' '
let again s = String.concat s [ "["; "]" ]
