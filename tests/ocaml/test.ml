let () = All.run ()
