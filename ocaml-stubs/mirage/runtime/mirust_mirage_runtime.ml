let () =
  Mirust.Bootvar.delegate (fun term ->
      let value : unit -> unit = Mirage_runtime.register_arg term in
      ignore value)
