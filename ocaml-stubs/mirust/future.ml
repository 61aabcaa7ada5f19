(* Futures and promises, as ffi/src/ocaml/future.rs and promise.rs see them: they look these functions
   up by name. Nothing here runs code of a program inside a call from Rust, except that cancelling a
   promise runs who waits for that. *)

(* A Rust future that OCaml awaits *)

external take : (int[@untagged]) -> 'a = "mirust_native_only" "mirust_ocaml_future_take"

external bind : (int[@untagged]) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_ocaml_future_bind"
[@@noalloc]

external cancel : (int[@untagged]) -> unit = "mirust_native_only" "mirust_ocaml_future_cancel"

let create future =
  let promise, resolver = Lwt.task () in
  let fetch () =
    match take future with
    | v -> Lwt.wakeup_later resolver v
    | exception e -> Lwt.wakeup_later_exn resolver e
  in
  let token = Completion.register fetch in
  ignore (bind future token : int);
  Lwt.on_cancel promise (fun () ->
      Completion.forget token;
      cancel future);
  promise

(* An OCaml promise that a Rust future awaits. Rust reads the values of this type. *)

type 'a outcome = Pending | Cancelled | Returned of 'a | Raised of exn [@@warning "-37"]

external settled : (int[@untagged]) -> 'a outcome -> unit
  = "mirust_native_only" "mirust_ocaml_promise_settled"

let rejected = function Lwt.Canceled -> Cancelled | e -> Raised e

let watch promise waiter =
  match Lwt.state promise with
  | Return v -> Returned v
  | Fail e -> rejected e
  | Sleep ->
      Lwt.on_any promise
        (fun v -> settled waiter (Returned v))
        (fun e -> settled waiter (rejected e));
      Pending

let cancel_promise promise = try Lwt.cancel promise with e -> !Lwt.async_exception_hook e

(* {!Main} calls it, so that every program with a loop has these. *)
let install () =
  Callback.register "mirust_future_create" create;
  Callback.register "mirust_promise_watch" watch;
  Callback.register "mirust_promise_cancel" cancel_promise
