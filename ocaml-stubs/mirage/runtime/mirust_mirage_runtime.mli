(** With this library linked, Mirage_runtime evaluates the boot parameters: those that were declared
    by {!Mirust.Bootvar.register} are its own, so that one command line has both. [-l] is Mirage's
    ([-l '*:debug,tcp:info']). *)
