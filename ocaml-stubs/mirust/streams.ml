(* Streams, for ffi/src/ocaml/feed.rs and stream.rs. *)

(* A Rust stream that OCaml reads. *)

external pull : (int[@untagged]) -> 'a option Lwt.t
  = "mirust_native_only" "mirust_ocaml_stream_pull"

external gone : (int[@untagged]) -> unit = "mirust_native_only" "mirust_ocaml_stream_drop"

let create token =
  (* Only reachable from the stream, so that it dies with it. *)
  let handle = ref token in
  Gc.finalise (fun handle -> gone !handle) handle;
  Lwt_stream.from (fun () -> pull !handle)

(* An OCaml stream that Rust reads *)

let get stream = try Lwt_stream.get stream with e -> Lwt.fail e

let () =
  Callback.register "mirust_stream_create" create;
  Callback.register "mirust_stream_get" get

let enable () = ()
