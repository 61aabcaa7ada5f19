let named =
  Mirust.Bootvar.register
    Cmdliner.Arg.(
      value
      & opt_all (pair ~sep:':' string string) []
      & info [ "disk" ] ~docv:"NAME:DEVICE"
          ~doc:
            "The disk that the program calls $(i,NAME). $(i,DEVICE) is xvda and the like on Xen, \
             and a path on Linux. May be repeated.")
