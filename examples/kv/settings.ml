(* What the command line says. *)

let port = 6379

let disk =
  Mirust.Bootvar.register
    Cmdliner.Arg.(
      value
      & opt (some (pair ~sep:':' string string)) None
      & info [ "disk" ] ~docv:"data:DEVICE"
          ~doc:
            "The disk that the store's log is on: xvda and the like on Xen, a path on Linux. \
             Without one nothing outlives the program.")

let appendfsync =
  let policies = List.map (fun name -> (name, name)) [ "always"; "everysec"; "no" ] in
  Mirust.Bootvar.register
    Cmdliner.Arg.(
      value
      & opt (enum policies) "everysec"
      & info [ "appendfsync" ] ~docv:"WHEN"
          ~doc:
            "When the log is made stable: before a client is told ($(b,always)), once in a second \
             ($(b,everysec)), or when the disk likes ($(b,no)).")
