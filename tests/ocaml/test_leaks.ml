(* Each kind of crossing, very often, with collections all the time: both heaps are as large afterwards as they
   were before. The suite does it ten thousand times, [make test-leaks] a million times and more. *)

open Lwt.Infix
open Mirust

external failing : string -> (int[@untagged]) = "mirust_native_only" "mirust_export_test_panic"

external complete_after : (int[@untagged]) -> (int64[@unboxed]) -> unit
  = "mirust_native_only" "mirust_export_test_complete_after"

let live () =
  (* What is found dead is dropped in the loop, and may leave something for the next collection. *)
  for _ = 1 to 3 do
    Test_promise.turn ()
  done;
  Test_promise.live ()

let full_every () = Often.times 10_000

let leaves_nothing name crossings times =
  let times = Often.times times in
  (* Tables grow to what is there at a time, which a collection ends. *)
  crossings (max (min times (2 * full_every ())) (times / 10));
  let words, heap = live () in
  crossings times;
  let words', heap' = live () in
  let check what before after allowed =
    if after - before > allowed then
      Alcotest.failf "%s, %d times: %s grew from %d to %d" name times what before after
  in
  (* The runtimes' own tables come and go; a block for every crossing would be far more. *)
  check "OCaml's heap (words)" words words' 5000;
  check "Rust's heap (bytes)" heap heap' 65536

let collect i =
  if i land 15 = 0 then Gc.minor ();
  if i mod full_every () = 0 then Gc.full_major ()

(* Crossings that are over when they return. *)
let at_once f times =
  for i = 1 to times do
    f i;
    collect i
  done

(* Crossings that somebody waits for, one after the other. *)
let in_turn f times =
  let rec go i =
    if i > times then Lwt.return_unit
    else
      f i >>= fun () ->
      collect i;
      go (i + 1)
  in
  Main.run (go 1)

let ignored p = Lwt.map ignore p
let caught f = Lwt.catch (fun () -> ignored (f ())) (fun _ -> Lwt.return_unit)

let task () =
  let promise, _ = Lwt.task () in
  promise

let bytes = Bytes.create 100

let kinds =
  Test_promise.
    [
      ("numbers", at_once (fun i -> ignore (Test_values.isize i : int)));
      ("strings", at_once (fun i -> ignore (Test_values.upper (string_of_int i) : string)));
      ("copied bytes", at_once (fun _ -> ignore (Test_values.vec bytes : bytes)));
      ("lists", at_once (fun i -> ignore (Test_values.list_sum [ i; i ] : int)));
      ( "borrowed bytes",
        at_once (fun i ->
            ignore (Test_bytes.sum_string (string_of_int i) : int);
            ignore (Test_bytes.sum_cstruct (Cstruct.of_string "abc") : int)) );
      ("refused borrows", at_once (fun i -> try ignore (Test_bytes.sum_int i : int) with _ -> ()));
      ("roots", at_once (fun i -> ignore (Test_values.rooted ignore (string_of_int i) : string)));
      ( "closures",
        at_once (fun i -> ignore (Test_values.call (fun s _ _ -> s) (string_of_int i) : string)) );
      ("exceptions", at_once (fun i -> ignore (Test_failures.catch (fun _ -> raise Exit) i : int)));
      ("panics", at_once (fun i -> try ignore (failing (string_of_int i) : int) with _ -> ()));
      ( "completions",
        in_turn (fun _ ->
            let token, promise = Completion.create () in
            complete_after token 0L;
            promise) );
      ("futures", in_turn (fun i -> ignored (future_string (string_of_int i) 0L)));
      ("futures with roots", in_turn (fun i -> ignored (future_root (string_of_int i) 0L)));
      ("futures that panic", in_turn (fun i -> caught (fun () -> future_panic (string_of_int i))));
      ( "futures cancelled at once",
        in_turn (fun _ ->
            Lwt.cancel (future_for_ever ());
            Lwt.pause ()) );
      ( "futures cancelled while they wait",
        in_turn (fun _ ->
            let future = future_for_ever () in
            Lwt.pause () >>= Lwt.pause >|= fun () -> Lwt.cancel future) );
      ( "futures cancelled when they have ended",
        in_turn (fun i ->
            let future = future_string (string_of_int i) 0L in
            (* Its result is there after a poll; this hook of the loop comes before it is fetched. *)
            Lwt.pause () >|= fun () -> Lwt.cancel future) );
      ("promises, settled", in_turn (fun i -> ignored (promise (Lwt.return (string_of_int i)))));
      ( "promises, settled later",
        in_turn (fun i -> ignored (promise (Lwt.pause () >|= fun () -> string_of_int i))) );
      ( "promises, rejected",
        in_turn (fun _ -> ignored (promise (Lwt.pause () >>= fun () -> Lwt.fail Exit))) );
      ( "promises, cancelled",
        in_turn (fun _ ->
            let waited = task () in
            let seen = promise waited in
            Lwt.pause () >>= Lwt.pause >>= fun () ->
            Lwt.cancel waited;
            ignored seen) );
      ("promises, dropped at once", in_turn (fun _ -> ignored (promise_timeout (task ()) 0L)));
      ( "promises, dropped while Rust waits",
        in_turn (fun _ -> ignored (promise_timeout (task ()) 1L)) );
      ("promises, left alone", in_turn (fun _ -> promise_detach (task ())));
      ("closures that promise", in_turn (fun i -> ignored (call_async Lwt.return (i land 1))));
      ("streams of Rust", in_turn (fun _ -> Lwt_stream.iter ignore (Test_stream.feed 3)));
      ("streams of Rust, dropped", in_turn (fun _ -> ignored (Lwt_stream.get (Test_stream.feed 3))));
      ( "streams of Rust that panic",
        in_turn (fun _ -> caught (fun () -> Lwt_stream.iter ignore (Test_stream.feed_panics 1))) );
      ( "streams of OCaml",
        in_turn (fun i -> ignored (Test_stream.read (Lwt_stream.of_list [ string_of_int i ]) 9)) );
      ( "streams of OCaml, given up",
        in_turn (fun _ ->
            ignored (Test_stream.read_timeout (Lwt_stream.from (fun () -> task ())) 1L)) );
    ]

let suite ~times =
  List.map
    (fun (name, crossings) ->
      Test_promise.case
        (String.map (function ' ' -> '_' | c -> c) name)
        (Test_promise.quiet (fun () -> leaves_nothing name crossings times)))
    kinds

let tests = suite ~times:10_000
