(* The heap of sleepers, against a sorted list. *)

module Sleepers = Mirust__Sleepers
module Time = Mirust.Time

let sleeper time = { Time.time; canceled = false; thread = snd (Lwt.wait ()) }

let rec drain t ~now acc =
  match Sleepers.first_due t ~now with
  | None -> List.rev acc
  | Some s ->
      Sleepers.drop_first t;
      drain t ~now (s :: acc)

let in_order () =
  let t = Sleepers.create () in
  let all = List.init 1000 (fun i -> sleeper (Int64.of_int (i * 7919 mod 101))) in
  List.iter (Sleepers.add t) all;
  let expected = List.stable_sort (fun a b -> Int64.compare a.Time.time b.Time.time) all in
  let due, later = List.partition (fun s -> s.Time.time <= 50L) expected in
  Alcotest.(check bool) "due ones" true (List.for_all2 ( == ) due (drain t ~now:50L []));
  Alcotest.(check (option int64)) "next" (Some 51L) (Sleepers.next t);
  Alcotest.(check bool) "the rest" true (List.for_all2 ( == ) later (drain t ~now:1000L []));
  Alcotest.(check (option int64)) "empty" None (Sleepers.next t)

let cancelled () =
  let t = Sleepers.create () in
  let a = sleeper 1L and b = sleeper 2L and c = sleeper 3L in
  List.iter (Sleepers.add t) [ c; a; b ];
  a.canceled <- true;
  b.canceled <- true;
  Alcotest.(check (option int64)) "skips" (Some 3L) (Sleepers.next t);
  c.canceled <- true;
  Alcotest.(check (option int64)) "none" None (Sleepers.next t)

let bounded () =
  let t = Sleepers.create () in
  for i = 1 to 100_000 do
    let s = sleeper (Int64.of_int i) in
    Sleepers.add t s;
    s.canceled <- true
  done;
  Alcotest.(check bool) "swept" true (Sleepers.length t <= 128)

(* Where memory runs out for one, it and those behind it are taken the next time. *)
let memory_runs_out () =
  ignore (Time.new_sleepers () : Time.t list);
  let promises = List.init 5 (fun i -> Time.ns (Int64.of_int i)) in
  let t = Sleepers.create () and calls = ref 0 in
  let add s =
    incr calls;
    if !calls = 3 then raise Out_of_memory;
    Sleepers.add t s
  in
  (match Time.take_new_sleepers add with
  | () -> Alcotest.fail "memory did not run out"
  | exception Out_of_memory -> ());
  Alcotest.(check int) "so far" 2 (Sleepers.length t);
  Time.take_new_sleepers add;
  Alcotest.(check int) "all" (List.length promises) (Sleepers.length t);
  Alcotest.(check int) "no more" 0 (List.length (Time.new_sleepers ()))

let case name f = Alcotest.test_case name `Quick f

let tests =
  [
    case "pops_in_order_of_time_and_then_of_arrival" in_order;
    case "skips_cancelled_ones" cancelled;
    case "cancelled_ones_do_not_pile_up" bounded;
    case "memory_runs_out_for_one_of_several" memory_runs_out;
  ]
