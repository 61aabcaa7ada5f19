val cmd_line : unit -> string
