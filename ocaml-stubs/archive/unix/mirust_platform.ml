(* How the runtime's archive is linked: by dune, as part of this library. *)

let archive = `Plain
