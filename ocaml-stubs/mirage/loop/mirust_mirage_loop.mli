(** With this library linked, Mirage's loop takes turns for our runtime: Rust tasks run, and the
    promises of their futures are resolved, whenever [Xen_os.Main.run] looks for events.
    {!Mirust.Main.run} cannot be used then. {!Mirust.Time} sleeps by [Mirage_sleep]. *)
