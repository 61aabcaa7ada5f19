(* Rust streams as Lwt streams, and the other way round. As in {!Test_promise}, the heap is compacted wherever
   somebody waits. *)

open Lwt.Infix
open Mirust

let () = Streams.enable ()

external polled : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_stream_polled"
[@@noalloc]

external dropped : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_stream_dropped"
[@@noalloc]

external fed : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_streams_fed"
[@@noalloc]

external feed : (int[@untagged]) -> int Lwt_stream.t
  = "mirust_native_only" "mirust_export_test_feed"

external feed_panics : (int[@untagged]) -> int Lwt_stream.t
  = "mirust_native_only" "mirust_export_test_feed_panics"

external feed_slowly : (int[@untagged]) -> (int64[@unboxed]) -> string Lwt_stream.t
  = "mirust_native_only" "mirust_export_test_feed_slowly"

external feed_later : (int[@untagged]) -> (int Lwt_stream.t, string) result Lwt.t
  = "mirust_native_only" "mirust_export_test_feed_later"

external feed_of_channel : (int[@untagged]) -> int Lwt_stream.t
  = "mirust_native_only" "mirust_export_test_feed_of_channel"

external feed_of_async_channel : (int[@untagged]) -> int Lwt_stream.t
  = "mirust_native_only" "mirust_export_test_feed_of_async_channel"

external read : string Lwt_stream.t -> (int[@untagged]) -> string Lwt.t
  = "mirust_native_only" "mirust_export_test_read"

external read_timeout : string Lwt_stream.t -> (int64[@unboxed]) -> bool Lwt.t
  = "mirust_native_only" "mirust_export_test_read_timeout"

external read_of_closure : (unit -> int Lwt_stream.t) -> int Lwt_stream.t Lwt.t
  = "mirust_export_test_read_of_closure"

external bench_read : int Lwt_stream.t -> int Lwt.t = "mirust_export_bench_read"

let await = Test_promise.await
let turn = Test_promise.turn
let ms = Test_promise.ms

(* OCaml's streams, all of them dropped, are gone after a collection and a turn, and Rust's with them. *)
let case name f =
  Test_promise.case name (fun () ->
      f ();
      turn ();
      turn ();
      Alcotest.(check int) "streams" 0 (fed 0))

let ints = Alcotest.(list int)
let upto n = List.init n succ

let compacting stream =
  Lwt_stream.map
    (fun v ->
      Gc.compact ();
      v)
    stream

let elements () =
  Alcotest.check ints "at once" (upto 20) (await (Lwt_stream.to_list (compacting (feed 20))));
  Alcotest.check ints "none" [] (await (Lwt_stream.to_list (feed 0)));
  Alcotest.(check (list string))
    "slowly" [ "1"; "2"; "3" ]
    (await (Lwt_stream.to_list (compacting (feed_slowly 3 (ms 1)))))

let at_ocamls_pace () =
  let before = polled 0 in
  let stream = feed 1000 in
  turn ();
  Alcotest.(check int) "not before somebody asks" before (polled 0);
  Alcotest.check ints "three" (upto 3) (await (Lwt_stream.nget 3 stream));
  turn ();
  Alcotest.(check int) "not more than that" (before + 3) (polled 0);
  let next = Lwt_stream.next stream in
  Alcotest.(check int) "not inside the call" (before + 3) (polled 0);
  Alcotest.(check int) "the next" 4 (await next)

let panics () =
  let stream = feed_panics 2 in
  Alcotest.check ints "two" (upto 2) (await (Lwt_stream.nget 2 stream));
  (match await (Lwt_stream.next stream) with
  | _ -> Alcotest.fail "no exception"
  | exception Panic m -> Alcotest.(check string) "the message" "after 2" m);
  Alcotest.(check (option int)) "the end" None (await (Lwt_stream.get stream));
  Alcotest.(check int) "no stream" 0 (fed 0)

let dropped_by_ocaml () =
  let before = dropped 0 in
  (let stream = feed 10 in
   ignore (await (Lwt_stream.next stream) : int));
  Alcotest.(check int) "before the collection" before (dropped 0);
  turn ();
  turn ();
  Alcotest.(check int) "after it" (before + 1) (dropped 0);
  (* One that ends is not waited for. *)
  let stream = feed 1 in
  ignore (await (Lwt_stream.to_list stream) : int list);
  Alcotest.(check int) "at its end" (before + 2) (dropped 0);
  ignore (Sys.opaque_identity stream)

(* A waiting reader alone keeps the stream alive, and one that gives up leaves it usable. *)
let waits () =
  let seen = ref [] in
  Lwt.async (fun () -> Lwt_stream.iter (fun s -> seen := s :: !seen) (feed_slowly 3 (ms 2)));
  let rec until_all n =
    Gc.compact ();
    if List.length !seen < 3 && n > 0 then Time.ns (ms 2) >>= fun () -> until_all (n - 1)
    else Lwt.return_unit
  in
  Main.run (until_all 1000);
  Alcotest.(check (list string)) "all" [ "3"; "2"; "1" ] !seen;
  let stream = feed_slowly 2 (ms 1) in
  let impatient = Lwt_stream.get stream in
  Lwt.cancel impatient;
  Alcotest.(check (list string)) "none lost" [ "1"; "2" ] (await (Lwt_stream.to_list stream))

let later () =
  (match await (feed_later 3) with
  | Ok stream -> Alcotest.check ints "elements" (upto 3) (await (Lwt_stream.to_list stream))
  | Error e -> Alcotest.fail e);
  match await (feed_later (-1)) with
  | Ok _ -> Alcotest.fail "no error"
  | Error e -> Alcotest.(check string) "error" "negative" e

let of_channels () =
  Alcotest.check ints "futures" (upto 100) (await (Lwt_stream.to_list (feed_of_channel 100)));
  Alcotest.check ints "async-channel" (upto 100)
    (await (Lwt_stream.to_list (feed_of_async_channel 100)));
  (* The reader goes first: the sender hears of it. *)
  ignore (await (Lwt_stream.nget 3 (feed_of_channel 100)) : int list);
  ignore (await (Lwt_stream.nget 3 (feed_of_async_channel 100)) : int list)

let strings n = List.init n string_of_int

let counted ?(wait = fun () -> Lwt.return_unit) last =
  let made = ref 0 in
  let next () =
    wait () >|= fun () ->
    Gc.compact ();
    if !made = last then None
    else (
      incr made;
      Some (string_of_int (!made - 1)))
  in
  (made, Lwt_stream.from next)

let rust_reads () =
  let all = await (read (Lwt_stream.of_list (strings 5)) max_int) in
  Alcotest.(check string) "a list" "01234 end" all;
  let _, stream = counted ~wait:(fun () -> Time.ns (ms 1)) 4 in
  Alcotest.(check string) "slowly" "0123 end" (await (read stream max_int));
  let _, stream = counted ~wait:Lwt.pause 4 in
  Alcotest.(check string) "with pauses" "0123 end" (await (read stream max_int));
  let stream, push = Lwt_stream.create () in
  let read = read stream max_int in
  push (Some "a");
  turn ();
  push (Some "b");
  push None;
  Alcotest.(check string) "pushed" "ab end" (await read)

let at_rusts_pace () =
  let made, stream = counted 100 in
  Alcotest.(check string) "three" "012" (await (read stream 3));
  turn ();
  Alcotest.(check int) "not more" 3 !made;
  (* A writer waits for its reader. *)
  let stream, push = Lwt_stream.create_bounded 2 in
  let pushed = ref 0 in
  let rec write n =
    if n = 0 then Lwt.return push#close
    else
      push#push "x" >>= fun () ->
      incr pushed;
      write (n - 1)
  in
  let writer = write 5 in
  turn ();
  Alcotest.(check int) "fills the buffer" 2 !pushed;
  Alcotest.(check string) "all" "xxxxx end" (await (read stream max_int));
  await writer

let rust_reads_errors () =
  let raises after =
    let made, stream = counted max_int in
    Lwt_stream.map (fun s -> if !made > after then raise Exit else s) stream
  in
  Alcotest.(check string) "raised" "01 error: Stdlib.Exit" (await (read (raises 2) max_int));
  let rejected = Lwt_stream.from (fun () -> Lwt.pause () >>= fun () -> Lwt.fail Exit) in
  Alcotest.(check string) "rejected" " error: Stdlib.Exit" (await (read rejected max_int));
  let cancelled = Lwt_stream.from (fun () -> Lwt.fail Lwt.Canceled) in
  Alcotest.(check string)
    "cancelled" " error: the promise was cancelled"
    (await (read cancelled max_int))

let given_up_by_rust () =
  let stream, push = Lwt_stream.create () in
  Alcotest.(check bool) "waits in vain" false (await (read_timeout stream (ms 2)));
  turn ();
  push (Some "late");
  Alcotest.(check (option string)) "not lost" (Some "late") (await (Lwt_stream.get stream));
  push (Some "in time");
  Alcotest.(check bool) "an element" true (await (read_timeout stream (ms 1000)))

let through_both () =
  let stream = await (read_of_closure (fun () -> compacting (feed 50))) in
  Alcotest.check ints "doubled" (List.map (( * ) 2) (upto 50)) (await (Lwt_stream.to_list stream))

let leaks () =
  let n = Often.times 100_000 in
  let round () =
    let count = ref 0 in
    let read_all = Lwt_stream.iter (fun _ -> incr count) (feed n) in
    let rust =
      bench_read
        (Lwt_stream.from_direct
           (let i = ref 0 in
            fun () ->
              incr i;
              if !i > n then None else Some !i))
    in
    Alcotest.(check int) "Rust's count" n (await (read_all >>= fun () -> rust));
    Alcotest.(check int) "OCaml's count" n !count;
    turn ()
  in
  round ();
  let words, heap = Test_promise.live () in
  for _ = 1 to 3 do
    round ()
  done;
  let words', heap' = Test_promise.live () in
  Alcotest.(check bool) "OCaml's heap" true (words' - words < 1000);
  Alcotest.(check bool) "Rust's heap" true (heap' - heap < 65536)

let tests =
  [
    case "rust_feeds_every_element_and_the_end" elements;
    case "rust_is_polled_when_ocaml_asks" at_ocamls_pace;
    case "a_panic_rejects_the_element_and_ends_the_stream" (Test_promise.quiet panics);
    case "dropping_ocamls_stream_drops_rusts_from_the_loop" dropped_by_ocaml;
    case "who_waits_keeps_the_stream" waits;
    case "a_stream_that_comes_later" later;
    case "channels_of_other_crates" of_channels;
    case "rust_reads_every_element_and_the_end" rust_reads;
    case "ocaml_makes_elements_when_rust_asks" at_rusts_pace;
    case "an_exception_is_the_last_element" rust_reads_errors;
    case "giving_up_leaves_the_element_to_others" given_up_by_rust;
    case "through_both_languages" through_both;
    case "four_hundred_thousand_elements_leave_nothing" leaks;
  ]
