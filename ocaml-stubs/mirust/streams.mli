(** Streams between the languages. [Lwt_stream] would be a tenth of a small image, so only programs
    that call {!enable} contain it. *)

(** Lets exported Rust functions take and return [Lwt_stream.t]. Modules that [mirust-bindgen] has
    generated call it where they need it; a program with hand-written externals of this kind has to
    do it itself, before it calls the first of them. Otherwise that call raises {!Mirust.Panic}. *)
val enable : unit -> unit
