(* How often a test repeats something, to see that nothing is left behind. The address sanitizer makes a repetition
   several times as dear, and looks at each: there a tenth is enough. *)

let share = ref 1
let times n = n / !share
