(* Mirage's command line is the domain's own. *)

let cmd_line = Mirust.Bootvar.cmdline
