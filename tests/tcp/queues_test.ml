(* What holds octets and segments in order: each against a model, and without memory. *)

open Mirust_tcp

let case name f = Alcotest.test_case name `Quick f
let check_int = Alcotest.(check int)
let check_bool = Alcotest.(check bool)
let octet n = Char.unsafe_chr (n * 7 land 0xff)

(* ---- Ring: against a queue ---- *)

let ring_and_queue seed () =
  let rng = Random.State.make [| seed |] in
  let ring = Ring.create (-1) and queue = Queue.create () in
  check_bool "nothing is no element" true
    (match Ring.pop ring with _ -> false | exception Assert_failure _ -> true);
  for i = 1 to 50 do
    for j = 1 to Random.State.int rng 200 do
      Ring.push ring ((1000 * i) + j);
      Queue.push ((1000 * i) + j) queue
    done;
    let n = if i mod 10 = 0 then max_int else Random.State.int rng 200 in
    for _ = 1 to min n (Queue.length queue) do
      check_int "first" (Queue.peek queue) (Ring.first ring);
      check_int "the same" (Queue.pop queue) (Ring.pop ring)
    done;
    check_int "length" (Queue.length queue) (Ring.length ring);
    check_bool "empty" (Queue.is_empty queue) (Ring.is_empty ring)
  done

let ring_gives_back crowd () =
  let ring = Ring.create 0 in
  let words () = Obj.reachable_words (Obj.repr ring) in
  let turn n =
    for i = 1 to n do
      Ring.push ring i
    done;
    for i = 1 to n do
      check_int "in order" i (Ring.pop ring)
    done
  in
  let small = words () in
  turn crowd;
  let large = words () in
  check_bool "room for a crowd" true (large > crowd);
  (* As large as it was for the next one. *)
  turn crowd;
  check_int "room for another" large (words ());
  turn 256;
  check_bool "a quarter is too little" true (words () < large);
  for _ = 1 to 10 do
    turn 3
  done;
  check_int "without a crowd" small (words ())

let ring_without_memory () =
  let ring = Ring.create 0 in
  for i = 1 to 100 do
    let pushed = not (Shortage.fails (fun () -> Ring.push ring i)) in
    check_bool "but where it grows" (not (List.mem i [ 17; 33; 65 ])) pushed;
    if not pushed then (
      check_int "as before" (i - 1) (Ring.length ring);
      Ring.push ring i)
  done;
  let popped = ref 0 in
  let pop () = popped := Ring.pop ring in
  for i = 1 to 100 do
    check_bool "taken out" false (Shortage.fails pop);
    check_int "in order" i !popped
  done;
  (* The array is too large now. *)
  let words = Obj.reachable_words (Obj.repr ring) in
  Ring.push ring 1;
  check_bool "taken out" false (Shortage.fails pop);
  check_int "nor is it made smaller" words (Obj.reachable_words (Obj.repr ring));
  Ring.push ring 2;
  pop ();
  check_bool "until there is memory" true (Obj.reachable_words (Obj.repr ring) < words)

let ring_keeps_nothing_alive () =
  let ring = Ring.create (ref 0) and freed = ref 0 in
  for i = 1 to 10 do
    let r = ref i in
    Gc.finalise (fun _ -> incr freed) r;
    Ring.push ring r
  done;
  for _ = 1 to 10 do
    ignore (Ring.pop ring : int ref)
  done;
  Gc.full_major ();
  check_int "freed" 10 !freed;
  check_bool "it is still there" true (Ring.is_empty ring)

(* ---- Reassembly: against an array of octets ---- *)

let reassembly seed () =
  let rng = Random.State.make [| seed |] in
  let start = Seq.add 0 (-300) in
  let size = 2000 in
  let held = Array.make size false in
  let next = ref 0 in
  let t = Reassembly.create () in
  for _ = 1 to 300 do
    (if Random.State.int rng 5 > 0 then (
       let first = !next + 1 + Random.State.int rng 400 in
       let length = min (Random.State.int rng 60) (size - first) in
       if length > 0 then (
         let view = Cstruct.of_string (String.init length (fun i -> octet (first + i))) in
         let fresh = ref 0 in
         for i = first to first + length - 1 do
           if not held.(i) then (
             incr fresh;
             held.(i) <- true)
         done;
         let seq = Seq.add start first in
         check_int "new octets" !fresh (Reassembly.insert t ~seq view ~max_ranges:1000);
         check_bool "overlap" true
           (Reassembly.overlap t seq (Seq.add seq length) = Some (seq, Seq.add seq length))))
     else
       (* Octets in order arrive, up to somewhere. *)
       let upto = min (size - 1) (!next + Random.State.int rng 200) in
       let expected = ref upto in
       while !expected < size && held.(!expected) do
         incr expected
       done;
       let at = ref (Seq.add start upto) in
       let reached =
         Reassembly.pop t (Seq.add start upto) (fun view ->
             for i = 0 to Cstruct.length view - 1 do
               let n = Seq.diff !at start + i in
               if Cstruct.get_char view i <> octet n then Alcotest.failf "octet %d" n
             done;
             at := Seq.add !at (Cstruct.length view))
       in
       check_int "popped" !expected (Seq.diff reached start);
       check_int "handed over" !expected (Seq.diff !at start);
       next := !expected;
       Array.fill held 0 !next false);
    let total = Array.fold_left (fun n h -> if h then n + 1 else n) 0 held in
    check_int "octets" total (Reassembly.octets t)
  done

let reassembly_is_bounded () =
  let t = Reassembly.create () in
  let insert seq = Reassembly.insert t ~seq (Cstruct.create 1) ~max_ranges:3 in
  check_int "1" 1 (insert 10);
  check_int "2" 1 (insert 20);
  check_int "3" 1 (insert 30);
  check_int "behind" 0 (insert 40);
  check_int "between" 0 (insert 15);
  check_int "in front" 0 (insert 5);
  check_int "joins" 1 (insert 11)

(* ---- Octets: against a string ---- *)

let queue_of_octets seed () =
  let rng = Random.State.make [| seed |] in
  let t = Octets.create ~small:(1 + Random.State.int rng 2048) in
  let pushed = ref 0 and taken = ref 0 in
  let check views =
    List.iter
      (fun view ->
        for i = 0 to Cstruct.length view - 1 do
          if Cstruct.get_char view i <> octet (!taken + i) then
            Alcotest.failf "octet %d" (!taken + i)
        done;
        taken := !taken + Cstruct.length view)
      views
  in
  for _ = 1 to 500 do
    (match Random.State.int rng 4 with
    | 0 | 1 ->
        let n = Random.State.int rng (if Random.State.bool rng then 20 else 3000) in
        Octets.push t (Cstruct.of_string (String.init n (fun i -> octet (!pushed + i))));
        pushed := !pushed + n
    | 2 ->
        let n = Random.State.int rng (1 + Octets.octets t) in
        let views = Octets.take t n in
        check_int "taken" n (Cstruct.lenv views);
        check views
    | _ ->
        let most = if Random.State.bool rng then max_int else 1 + Random.State.int rng 2000 in
        let view = Octets.pop t ~most in
        Option.iter (fun v -> check_bool "at most" true (Cstruct.length v <= most)) view;
        check (Option.to_list view));
    (if Random.State.int rng 20 = 0 then
       let rec pop_all () =
         match Octets.pop t ~most:max_int with
         | None -> 0
         | Some view ->
             check [ view ];
             1 + pop_all ()
       in
       let views = Octets.views t in
       check_int "so many views" views (pop_all ()));
    check_int "octets" (!pushed - !taken) (Octets.octets t);
    check_bool "views" true (Octets.views t > 0 = (Octets.octets t > 0))
  done

(* ---- Pinned ---- *)

let nobodys _ = false

let short_views_of_large_buffers () =
  let view ~buffer length = Cstruct.sub (Cstruct.create buffer) 0 length in
  let pins ?(device = nobodys) v = Pinned.pins ~device v and worth = Pinned.worth in
  check_bool "four times as large" true (pins (view ~buffer:400 100));
  check_bool "less than that" false (pins (view ~buffer:399 100));
  check_bool "as long as is worth it" true (pins (view ~buffer:(4 * worth) worth));
  check_bool "longer" false (pins (view ~buffer:(8 * worth) (worth + 1)));
  check_bool "a device's" true (pins ~device:(fun _ -> true) (view ~buffer:100 100))

let neighbours_are_copied_together () =
  let slab = Cstruct.create 1_000_000 in
  for i = 0 to Cstruct.length slab - 1 do
    Cstruct.set_char slab i (octet i)
  done;
  let cut lengths =
    let at = ref 0 in
    List.map
      (fun n ->
        at := !at + n;
        Cstruct.sub slab (!at - n) n)
      lengths
  in
  let device b = b == slab.Cstruct.buffer in
  let after lengths =
    let before = cut lengths in
    let after = Pinned.compact ~device before in
    check_bool "the same octets" true (Cstruct.equal (Cstruct.concat before) (Cstruct.concat after));
    check_bool "nothing is pinned" false (List.exists (Pinned.pins ~device) after);
    List.map Cstruct.length after
  in
  let worth = Pinned.worth in
  let check = Alcotest.(check (list int)) in
  check "none" [] (after []);
  check "as many as fit" [ worth ] (after [ worth / 2; worth / 2 ]);
  check "one more octet" [ worth / 2; (worth / 2) + 1 ] (after [ worth / 2; (worth / 2) + 1 ]);
  check "a long one by itself" [ 3 * worth ] (after [ 3 * worth ]);
  check "and its neighbours" [ 10; 3 * worth; 10 ] (after [ 10; 3 * worth; 10 ]);
  (* What is kept is the very view, and parts neighbours. *)
  let own = Cstruct.create 100 and first, last = (Cstruct.sub slab 0 10, Cstruct.sub slab 10 10) in
  match Pinned.compact ~device [ first; first; own; last; last ] with
  | [ a; b; c ] ->
      check "two and two" [ 20; 20 ] [ Cstruct.length a; Cstruct.length c ];
      check_bool "the same" true (b == own)
  | views -> check "three" [] (List.map Cstruct.length views)

let seeds n name f =
  List.init n (fun seed -> case (Printf.sprintf "%s, seed %d" name seed) (f seed))

let () =
  Alcotest.run "queues"
    [
      ( "ring",
        case "gives back what a crowd needed" (ring_gives_back 1000)
        (* Where it is full, and begins at the first place again. *)
        :: case "a crowd of a power of two" (ring_gives_back 1024)
        :: case "keeps nothing alive" ring_keeps_nothing_alive
        :: case "without memory" ring_without_memory
        :: seeds 5 "model" ring_and_queue );
      ("reassembly", case "bounded" reassembly_is_bounded :: seeds 20 "model" reassembly);
      ("octets", seeds 20 "model" queue_of_octets);
      ( "pinned",
        [
          case "short views of large buffers" short_views_of_large_buffers;
          case "neighbours are copied together" neighbours_are_copied_together;
        ] );
    ]
