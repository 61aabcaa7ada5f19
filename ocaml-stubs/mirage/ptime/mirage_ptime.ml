(* Mirage's wall clock is the runtime's. *)

include Mirust.Pclock
