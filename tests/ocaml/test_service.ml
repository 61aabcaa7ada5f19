(* What mirust-bindgen wrote for tests/ffi/src/service.rs: every function is called, between two collections
   with compaction, and values that OCaml owns live and die. *)

open Lwt.Infix
open Service

let ms = Test_promise.ms
let await = Test_promise.await
let case = Test_promise.case
let refused = Test_bytes.refused

(* Everything that is dead by now is dropped: as many turns as that takes. *)
let rec bury () =
  let before = service_values () in
  Gc.full_major ();
  Test_promise.turn ();
  if service_values () < before then bury ()

let values_left () =
  bury ();
  service_values ()

(* Whatever the test has made is gone when it is over, and each destructor has run once. *)
let opaque name f =
  case name (fun () ->
      let before = values_left () and dropped = service_dropped () in
      let made = f () in
      Alcotest.(check int) "values left" before (values_left ());
      Alcotest.(check int) "destructors" (dropped + made) (service_dropped ()))

let numbers () =
  let open Alcotest in
  check (float 0.) "seven arguments" 15. (plain 1 2L 3l 4. true () "5");
  check (float 0.) "false" 0. (plain 1 2L 3l 4. false () "5");
  check string "a keyword" "end" (end_ ());
  check int "noalloc" 42 (add 40 2);
  check int "list" 5050 (sum (List.init 101 Fun.id));
  check int "empty list" 0 (sum []);
  check
    (list (pair int (pair string (float 0.))))
    "tuples"
    [ (0, ("0", 0.)); (1, ("1", 0.5)); (2, ("2", 1.)) ]
    (List.map (fun (i, s, x) -> (i, (s, x))) (Service.numbers 3))

(* More than a call keeps track of without allocating. *)
let many_buffers () =
  let c = Cstruct.of_string (String.concat "" (List.init 100 (Printf.sprintf "%03d"))) in
  let pieces = List.init 100 (fun i -> Cstruct.sub c (3 * i) 3) in
  let to_ = Bytes.create 300 in
  Alcotest.(check int) "all" 300 (gather pieces to_);
  Alcotest.(check string) "in order" (Cstruct.to_string c) (Bytes.to_string to_);
  (* The first, one in the middle, and the last. *)
  List.iter
    (fun at -> refused (fun () -> gather pieces (Obj.magic (Cstruct.sub c at 1) : bytes)))
    [ 0; 150; 299 ];
  Alcotest.(check string) "untouched" "000" (Cstruct.to_string ~len:3 c);
  let many = List.init 100_000 string_of_int in
  Alcotest.(check (option string)) "the last of the longest" (Some "99999") (longest many None)

let buffers () =
  let open Alcotest in
  let big = Bigarray.(Array1.create char c_layout 3) in
  Bigarray.Array1.fill big 'x';
  check int "string" 3 (length_string "abc");
  check int "bytes" 3 (length_bytes (Bytes.of_string "abc"));
  check int "bigarray" 3 (length_bigarray big);
  let c = Cstruct.of_string "abc..." in
  check int "cstruct" 3 (copy (Cstruct.sub c 0 3) (Cstruct.shift c 3));
  check string "copied" "abcabc" (Cstruct.to_string c);
  let b = Bytes.make 3 'x' in
  fill b (Char.code 'y');
  check bytes "filled" (Bytes.of_string "yyy") b;
  check bytes "owned" (Bytes.of_string "cba") (reverse (Bytes.of_string "abc"))

let parts () =
  let a = (Int64.min_int, Int32.max_int, Float.pi, true) in
  let b = Some [ ("a", "1"); ("b", "2") ] in
  let strings = List.init 100 string_of_int in
  (match Service.parts a b ((), Some (-3), strings) with
  | Ok (a', b', c, d) ->
      Alcotest.(check bool) "numbers" true (a = a');
      Alcotest.(check bool) "options" true (b = b' && c = Some (-3));
      Alcotest.(check (list string)) "roots" strings d
  | Error () -> Alcotest.fail "an error");
  Alcotest.(check bool)
    "error" true
    (Service.parts (0L, 0l, 0., false) None ((), None, []) = Error ());
  Alcotest.(check (option string)) "borrowed" (Some "ccc") (longest [ "a"; "ccc" ] (Some "bb"));
  Alcotest.(check (option string)) "none" None (longest [] None)

(* A collection whenever anything is allocated on the way would need OCaml's debug runtime; this makes the
   list longer than the minor heap instead. *)
let long () =
  let n = 300_000 in
  let list = Service.numbers n in
  Alcotest.(check int) "length" n (List.length list);
  List.iteri (fun i (j, s, x) -> assert (i = j && s = string_of_int i && x = float i /. 2.)) list

let anything () =
  Alcotest.(check (option int64)) "list" (Some 7L) (first [ 7L; 8L ]);
  Alcotest.(check string) "polymorphic" "x" (same "x");
  Alcotest.(check (list int)) "polymorphic" [ 1 ] (same [ 1 ])

let closures () =
  let f b n =
    Gc.compact ();
    Bytes.to_string b ^ string_of_int n
  in
  let result = Alcotest.(result string string) in
  Alcotest.check result "called" (Ok "bytes7") (call f 7);
  Alcotest.check result "raised" (Error "Not_found") (call (fun _ _ -> raise Not_found) 7)

let futures () =
  let open Alcotest in
  let later s =
    Mirust.Time.ns (ms 1) >|= fun () ->
    Gc.compact ();
    s ^ "!"
  in
  check (result string string) "closure" (Ok "later!") (await (call_later later (ms 1)));
  check (result string string) "raises" (Error "Stdlib.Exit")
    (await (call_later (fun _ -> raise Exit) 0L));
  check (result (pair string int) string) "promise" (Ok ("a!a!", 2)) (await (twice (later "a")));
  check bytes "bytes" (Bytes.of_string "xx") (await (bytes_later 2))

let panics () =
  match Test_failures.silently (fun () -> fail "the message") with
  | _ -> Alcotest.fail "no exception"
  | exception Mirust.Panic m -> Alcotest.(check string) "the message" "the message" m

let counts () =
  let c = Counter.create 5 in
  Gc.compact ();
  Alcotest.(check int) "next" 5 (Counter.next c);
  Gc.compact ();
  Alcotest.(check int) "get" 6 (Counter.get c);
  let d = Counter.alias c in
  Gc.compact ();
  Alcotest.(check int) "the same" 6 (Counter.next d);
  Alcotest.(check int) "the same" 7 (Counter.get c);
  Alcotest.(check (option int)) "not larger" None (Counter.larger c d);
  let e = Counter.create 9 in
  Alcotest.(check (option int)) "larger" (Some 9) (Counter.larger c e);
  Alcotest.(check int) "total" 32 (Counter.total [ c; e; e ] (Some d));
  Alcotest.(check int) "no total" 0 (Counter.total [] None);
  let many = service_counters 10 in
  Gc.compact ();
  Alcotest.(check int) "many" 45 (Counter.total many None);
  12

let visits () =
  let c = Counter.create 1 in
  let seen = ref None in
  let f d =
    Gc.compact ();
    seen := Some d;
    Counter.next d + 10
  in
  Alcotest.(check int) "visited" 13 (Counter.visit c f);
  Alcotest.(check (option int)) "still there" (Some 2) (Option.map Counter.get !seen);
  Alcotest.(check int) "raises" (-1 + 2) (Counter.visit c (fun _ -> raise Exit));
  1

let made_by () =
  (match
     Counter.made_by (fun () ->
         let c = Counter.create 6 in
         Gc.compact ();
         c)
   with
  | Ok c -> Alcotest.(check int) "one further" 7 (Counter.get c)
  | Error e -> Alcotest.fail e);
  let raises () = raise Exit in
  Alcotest.(check bool) "raises" true (Counter.made_by raises = Error "Stdlib.Exit");
  refused (fun () -> Counter.made_by (fun () -> Obj.magic "no counter"));
  1

(* OCaml loses its own, and Rust's is still there. *)
let held () =
  Counter.hold (Counter.create 3);
  let values = values_left () in
  (match Counter.held () with
  | None -> Alcotest.fail "lost"
  | Some c ->
      Alcotest.(check int) "the same" 3 (Counter.get c);
      Alcotest.(check int) "one more" (values + 1) (values_left ());
      Alcotest.(check int) "alive" 3 (Counter.get c));
  Alcotest.(check bool) "once" true (Counter.held () = None);
  1

let later () =
  let c = Counter.create 1 in
  let p = Counter.next_later c (ms 2) in
  Gc.compact ();
  Alcotest.(check int) "later" 1 (await p);
  (* The future has the only reference. *)
  let p = Counter.next_later (Counter.create 7) (ms 2) in
  bury ();
  Alcotest.(check int) "alone" 7 (await p);
  (match await (Counter.later 4) with
  | Ok c -> Alcotest.(check int) "made" 4 (Counter.get c)
  | Error e -> Alcotest.fail e);
  Alcotest.(check bool) "not made" true (await (Counter.later (-1)) = Error "negative");
  3

let cancelled () =
  let c = Counter.create 1 in
  let p = Counter.keep c in
  bury ();
  Alcotest.(check int) "while it waits" 1 (Counter.next c);
  Lwt.cancel p;
  Alcotest.(check int) "cancelled" 2 (Counter.next c);
  bury ();
  Alcotest.(check int) "and dropped" 3 (Counter.get c);
  (* Nobody else had it; and one that is never made. *)
  Lwt.cancel (Counter.keep (Counter.create 0));
  Lwt.cancel (Counter.later 1);
  bury ();
  2

let wrong_types () =
  let c = Counter.create 1 and r = Rude.create 3 in
  Rude.touch r;
  let wrong : type a. a -> unit =
   fun v -> refused (fun () -> Counter.next (Obj.magic v : Counter.t))
  in
  wrong r;
  wrong 3;
  wrong "a string, longer than a block of ours";
  wrong (Some c);
  wrong 3L;
  wrong Bigarray.(Array1.create char c_layout 3);
  refused (fun () -> Counter.total [ c; Obj.magic r ] None);
  refused (fun () -> await (Counter.next_later (Obj.magic r : Counter.t) 0L));
  Alcotest.(check int) "the right one" 1 (Counter.next c);
  2

let abstract () =
  let c = Counter.create 1 and d = Counter.create 1 in
  let raises what f =
    match f () with
    | _ -> Alcotest.fail (what ^ ": no exception")
    | exception Invalid_argument _ -> ()
  in
  raises "compare" (fun () -> compare c d);
  raises "equal" (fun () -> Bool.to_int (c = d));
  raises "marshal" (fun () -> String.length (Marshal.to_string c []));
  Alcotest.(check int) "hash" (Hashtbl.hash c) (Hashtbl.hash d);
  2

let destructors_that_misbehave () =
  Test_failures.silently (fun () ->
      for _ = 1 to 10 do
        List.iter (fun how -> Rude.touch (Rude.create how)) [ 0; 1; 2 ]
      done;
      bury ());
  (* The payload of the second kind is one of the first. *)
  40

(* The loop does not turn, and what is dead does not pile up. *)
let without_the_loop () =
  let before = service_values () and most = ref 0 in
  for i = 1 to 200_000 do
    ignore (Sys.opaque_identity (Counter.create i));
    most := max !most (service_values ())
  done;
  Alcotest.(check bool) "a fraction of them" true (!most - before < 100_000);
  200_000

let a_million () =
  let live () =
    bury ();
    Gc.compact ();
    ((Gc.stat ()).live_words, (Mirust.Stats.Memory.get ()).heap)
  in
  let some () =
    for i = 1 to 100_000 do
      let c = Counter.create i in
      assert (Counter.next c = i)
    done;
    Gc.compact ();
    bury ()
  in
  some ();
  let words, heap = live () in
  for _ = 1 to 10 do
    some ()
  done;
  let words', heap' = live () in
  Alcotest.(check bool) "OCaml's heap" true (words' - words < 1000);
  Alcotest.(check bool) "Rust's heap" true (heap' - heap < 8192);
  1_100_000

(* The collector is told of 3 GB in all. By the size of its own blocks it would see no reason to do anything. *)
let large turn () =
  let before = service_values () and most = ref 0 and n = 300 in
  for _ = 1 to n do
    ignore (Sys.opaque_identity (Counter.large 10_000_000));
    most := max !most (service_values () - before);
    turn ()
  done;
  Alcotest.(check bool) "a fraction of them" true (!most < n / 3);
  n

let tests =
  [
    opaque "the_collector_is_told_their_size"
      (large (fun () -> Mirust.Main.run (Mirust.Time.ns 100_000L)));
    opaque "large_ones_do_not_pile_up_without_the_loop" (large ignore);
    case "plain_arguments_lists_and_tuples" numbers;
    case "each_kind_of_buffer" buffers;
    case "a_hundred_borrowed_buffers" many_buffers;
    case "parts_of_every_type" parts;
    case "a_list_longer_than_the_minor_heap" long;
    case "values_that_are_not_converted" anything;
    case "closures" closures;
    case "futures" futures;
    case "a_panic_is_an_exception" panics;
    opaque "values_that_ocaml_owns" counts;
    opaque "a_closure_is_given_one" visits;
    opaque "a_closure_makes_one" made_by;
    opaque "rust_keeps_one_besides" held;
    opaque "a_future_keeps_its_own" later;
    opaque "a_cancelled_future_lets_go" cancelled;
    opaque "another_type_is_refused" wrong_types;
    opaque "they_are_abstract" abstract;
    opaque "destructors_that_misbehave" destructors_that_misbehave;
    opaque "without_the_loop_the_dead_do_not_pile_up" without_the_loop;
    opaque "a_million_leave_nothing" a_million;
  ]
