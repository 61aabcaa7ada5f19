(* How the runtime's archive is linked: by `make`, which brings it. *)

let archive = `Own
