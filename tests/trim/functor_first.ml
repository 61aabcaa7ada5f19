(* The functor's code begins where the unit's does, and its call names that function. *)

module type Argument = sig
  val once : string -> string
  val between : string
  val again : string -> string
end

module Make (A : Argument) = struct
  let twice s = A.once s ^ A.between ^ A.again s
end

(* A unit as it is: its address is passed, and no copy of its fields. *)
module Applied = Make (Argument)
