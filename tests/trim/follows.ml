(* Nobody reads most of these, but to compute them this initialisation follows what other modules' fields hold. *)

let nobody's = snd Modules.pair
let { Modules.Defaults.host; _ } = Modules.Defaults.t
let nobody's_port = snd Modules.Defaults.t.ports

include Modules.All_constants

let nobody's_part = fst (fst deep)
let said = "follows"
