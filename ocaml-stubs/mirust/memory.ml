type resized = { bytes : int; short : int }

(* ffi/src/memory.rs *)
external listen : (int -> int -> unit) -> unit = "mirust_ocaml_memory_resized"

let listeners = ref []

let tell resized =
  (* Only a compaction gives pages of the heap back. *)
  if resized.short > 0 then Gc.compact ();
  List.iter
    (fun f ->
      try f resized
      with e ->
        Logs.err (fun m -> m "when the memory's size has changed: %s" (Printexc.to_string e)))
    (List.rev !listeners)

let listening = lazy (listen (fun bytes short -> tell { bytes; short }))

let on_resize f =
  Lazy.force listening;
  listeners := f :: !listeners
