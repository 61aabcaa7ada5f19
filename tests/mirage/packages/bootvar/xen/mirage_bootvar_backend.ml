external cmd_line : unit -> string = "mirage_xen_get_cmdline"
