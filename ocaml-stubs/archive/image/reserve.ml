(* What OCaml does when memory runs short (ffi/src/ocaml/reserve.rs), and the limit of its stack. Linked into every
   image, whatever else it uses. *)

external most : unit -> (int[@untagged]) = "mirust_native_only" "mirust_ocaml_memory_most"
[@@noalloc]

external keep : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_ocaml_memory_keep"
[@@noalloc]

external hush : unit -> (int[@untagged]) = "mirust_native_only" "mirust_ocaml_memory_hush"
[@@noalloc]

external listen : unit -> (int[@untagged]) = "mirust_native_only" "mirust_ocaml_memory_listen"
[@@noalloc]

(* Runs wherever the program happens to be, like a signal handler. Only a compaction frees pages. *)
let relieve _ =
  ignore (hush () : int);
  Gc.compact ();
  if listen () = 0 then raise Out_of_memory

(* A stack grows by being copied to one of twice the size, and never shrinks: after an overflow it would keep its size.
   OCaml's own limit is 1 GiB. *)
let ocamls_limit = 128 * 1024 * 1024
let words bytes = bytes / 8

(* A minor heap that is too large for the memory would leave a collection without what it may need. *)
let fit_minor_heap ({ Gc.minor_heap_size; _ } as control) =
  let most = words (most ()) in
  if minor_heap_size > most then Gc.set { control with minor_heap_size = most };
  min minor_heap_size most

let () =
  let ({ Gc.stack_limit; _ } as control) = Gc.get () in
  let memory = keep (8 * fit_minor_heap control) in
  if memory > 0 then (
    Sys.set_signal Sys.sigxfsz (Signal_handle relieve);
    (* Unless the boot parameters say otherwise (OCAMLRUNPARAM=l=...). *)
    if stack_limit = ocamls_limit then Gc.set { (Gc.get ()) with stack_limit = words (memory / 8) })
