open Lwt.Infix

let run t = Xen_os.Main.run t ; exit 0

let () =
  let t =
    Lwt.return (Mirage_bootvar.argv ()) >>= fun argv ->
    Mirage_runtime.(with_argv (runtime_args ()) "probe" argv);
    Unikernel.start ()
  in
  run t
