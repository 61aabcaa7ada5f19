(** Repairs Lwt after [Out_of_memory]. Lwt counts how deeply callbacks are nested, and defers what
    [Lwt.wakeup_later] wakes until the outermost one has returned. [Out_of_memory] in Lwt's own
    code, outside all callbacks of the program, leaves that count too high: then nothing is ever
    woken again, neither sleepers nor what waits for Rust.

    To be called outside of all callbacks. *)

(** Whether [Lwt.wakeup_later] works. *)
val work : unit -> bool

(** Makes it work again, and wakes what was deferred. *)
val repair : unit -> unit
