(* Futures and promises for ffi/src/ocaml/future.rs and promise.rs, which look these functions up by name. Nothing here
   runs the program's code inside a call from Rust, except that cancelling a promise runs whatever waits for it. *)

(* A Rust future that OCaml awaits *)

external take : (int[@untagged]) -> 'a = "mirust_native_only" "mirust_ocaml_future_take"
external cancel : (int[@untagged]) -> unit = "mirust_native_only" "mirust_ocaml_future_cancel"

(* Futures that OCaml awaits, by the index that their tokens have in Rust's table (slots.rs). A future that is
   cancelled may already have completed, and its index may have been reused: the token shows it. *)
let index token = token land ((1 lsl Header.token_index_bits) - 1)
let vacant = -1
let tokens = ref [||]

(* A resolver: 'a Lwt.u, where 'a is the future's. *)
let resolvers = ref [||]
let nobody = Obj.repr 0

let grow i =
  let larger a filler =
    let size = Array.length a in
    Array.append a (Array.make (max 16 (max size (i + 1 - size))) filler)
  in
  tokens := larger !tokens vacant;
  resolvers := larger !resolvers nobody

let forget i =
  !tokens.(i) <- vacant;
  !resolvers.(i) <- nobody

let create token =
  let promise, resolver = Lwt.task () in
  let i = index token in
  if i >= Array.length !tokens then grow i;
  !tokens.(i) <- token;
  !resolvers.(i) <- Obj.repr resolver;
  Lwt.on_cancel promise (fun () ->
      if !tokens.(i) = token then (
        forget i;
        cancel token));
  promise

let complete token =
  let i = index token in
  if !tokens.(i) = token then (
    let resolver = Obj.obj !resolvers.(i) in
    forget i;
    match take token with
    | v -> Lwt.wakeup_later resolver v
    | exception e -> Lwt.wakeup_later_exn resolver e)

(* An OCaml promise that a Rust future awaits. Rust reads the values of this type. *)

type 'a outcome = Pending | Cancelled | Returned of 'a | Raised of exn [@@warning "-37"]

external returned : (int[@untagged]) -> 'a -> unit
  = "mirust_native_only" "mirust_ocaml_promise_returned"

external rejected : (int[@untagged]) -> 'a outcome -> unit
  = "mirust_native_only" "mirust_ocaml_promise_rejected"

let rejection = function Lwt.Canceled -> Cancelled | e -> Raised e

let watch promise waiter =
  match Lwt.state promise with
  | Return v -> Returned v
  | Fail e -> rejection e
  | Sleep ->
      Lwt.on_any promise
        (fun v ->
          returned waiter v;
          Exchange.ask ())
        (fun e ->
          rejected waiter (rejection e);
          Exchange.ask ());
      Pending

let cancel_promise promise = try Lwt.cancel promise with e -> !Lwt.async_exception_hook e

(* {!Main} calls it, so that every program with a loop has these. *)
let install () =
  Callback.register "mirust_collect" Collect.full_major;
  Callback.register "mirust_future_create" create;
  Callback.register "mirust_promise_watch" watch;
  Callback.register "mirust_promise_cancel" cancel_promise
