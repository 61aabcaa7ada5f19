let cmd_line = Mirust.Bootvar.cmdline
