(** Lwt counts how deep it is in callbacks that callbacks have set off, and keeps what
    [Lwt.wakeup_later] wakes until it has left the last one. [Out_of_memory] in the middle of that,
    where no callback of a program's is running, leaves the count too high: then nobody is woken
    later, no sleeper and nobody who waits for Rust, ever.

    To be called outside of all callbacks. *)

(** Whether [Lwt.wakeup_later] wakes. *)
val work : unit -> bool

(** Has it wake again, and wakes whoever has been kept. *)
val repair : unit -> unit
