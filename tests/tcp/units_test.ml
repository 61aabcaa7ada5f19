(* The small modules, each against a model or numbers from elsewhere. *)

open Mirust_tcp

let case name f = Alcotest.test_case name `Quick f
let check_int = Alcotest.(check int)
let check_bool = Alcotest.(check bool)
let ms = 1_000_000
let second = 1000 * ms

(* ---- Seq ---- *)

let sequence_numbers_wrap () =
  let last = 0xffff_ffff in
  check_int "add" 4 (Seq.add last 5);
  check_int "back" last (Seq.add 4 (-5));
  check_int "diff" 5 (Seq.diff 4 last);
  check_int "diff" (-5) (Seq.diff last 4);
  check_bool "lt" true (Seq.lt last 0);
  check_bool "half" true (Seq.lt 0 0x7fff_ffff);
  check_bool "between" true (Seq.between 1 ~low:last ~high:2);
  check_bool "not between" false (Seq.between 2 ~low:last ~high:2)

(* ---- Siphash: the test vectors of its authors ---- *)

let siphash_vectors () =
  let key = Siphash.key (String.init 16 Char.chr) in
  let vector n expected =
    let hash = Siphash.hash key (String.init n Char.chr) in
    check_int (string_of_int n) (Int64.to_int expected land max_int) hash
  in
  vector 0 0x726fdb47dd0e0e31L;
  vector 1 0x74f839c593dc67fdL;
  vector 8 0x93f5f5799a932462L;
  vector 15 0xa129ca6149be45e5L

(* ---- Rtt ---- *)

(* However often a peer keeps silent: a shift of more bits than a number has would be no time at all. *)
let timeouts_stay_at_the_ceiling () =
  let second = 1_000_000_000 in
  let t = Rtt.create ~initial:second ~min:(second / 5) ~max:(60 * second) in
  check_int "at first" second (Rtt.timeout t);
  for i = 1 to 200 do
    Rtt.back_off t;
    check_int (string_of_int i) (min 60 (1 lsl min i 6) * second) (Rtt.timeout t)
  done;
  Rtt.sample t (second / 10);
  check_int "after an answer" (3 * second / 10) (Rtt.timeout t)

(* ---- Cookie ---- *)

let cookies () =
  let key = Siphash.key (String.make 16 'k') in
  let now = 5000 * second and name = "name" and peer_seq = 77 in
  let cookie mss = Cookie.make key ~now ~name ~peer_seq ~mss in
  let check ?(now = now) ?(name = name) ?(peer_seq = peer_seq) c =
    Cookie.check key ~now ~name ~peer_seq c
  in
  let is = Alcotest.(check (option int)) in
  is "rounded down" (Some 1440) (check (cookie 1459));
  is "exact" (Some 1460) (check (cookie 1460));
  is "tiny" (Some 256) (check (cookie 88));
  is "a minute later" (Some 1460) (check ~now:(now + (60 * second)) (cookie 1460));
  is "too old" None (check ~now:(now + Cookie.life) (cookie 1460));
  is "other name" None (check ~name:"other" (cookie 1460));
  is "other number" None (check ~peer_seq:78 (cookie 1460));
  is "forged" None (check (Seq.add (cookie 1460) 1))

let cookie_stamps () =
  for timestamp = 0 to 200 do
    List.iter
      (fun (window_scale, sack_permitted) ->
        let o = { Mirust_wire.Tcp.no_options with window_scale; sack_permitted } in
        let stamp = Cookie.stamp o ~timestamp in
        check_bool "not later" true (Seq.leq stamp timestamp && Seq.diff timestamp stamp < 32);
        check_bool "comes back" true (Cookie.unstamp stamp = (window_scale, sack_permitted)))
      [ (-1, false); (-1, true); (0, false); (14, true); (7, true) ]
  done

(* ---- Limit ---- *)

let limit () =
  let t = Limit.create ~least:10 (fun n -> n / 2) in
  let count now = List.length (List.filter (fun _ -> Limit.allows t ~now) (List.init 100 Fun.id)) in
  check_int "first second" 15 (count 0);
  check_int "no more" 0 (count (second - 1));
  check_int "next second" 15 (count second)

(* ---- Habit ---- *)

let exchange t ~at ~took =
  Habit.asked t ~now:at;
  Habit.answered t ~now:(at + took)

let habit_of_four () =
  let t = Habit.create () and most = 100 * ms in
  for i = 1 to 4 do
    check_int "too few" 0 (Habit.patience t ~most);
    exchange t ~at:(i * second) ~took:(3 * ms)
  done;
  check_int "four times as long" (12 * ms) (Habit.patience t ~most);
  check_int "but no longer than it is told" (5 * ms) (Habit.patience t ~most:(5 * ms));
  (* More in the same turn is the same; more before the answer is not. *)
  Habit.asked t ~now:(5 * second);
  exchange t ~at:(5 * second) ~took:ms;
  check_bool "still" true (Habit.patience t ~most > 0);
  Habit.asked t ~now:(6 * second);
  exchange t ~at:((6 * second) + 1) ~took:ms;
  check_int "one answer for two" 0 (Habit.patience t ~most);
  (* What nobody has asked for is no answer. *)
  for _ = 1 to 10 do
    Habit.answered t ~now:(7 * second)
  done;
  check_int "unasked" 0 (Habit.patience t ~most)

let habit_of_slow_answers () =
  let after took =
    let t = Habit.create () in
    for i = 1 to 10 do
      exchange t ~at:(i * second) ~took
    done;
    Habit.patience t ~most:second
  in
  check_int "the longest" (4 * Habit.longest) (after Habit.longest);
  check_int "a nanosecond longer" 0 (after (Habit.longest + 1));
  check_int "what timers can tell apart" (2 * ms) (after 0)

let habit_that_is_missed () =
  let t = Habit.create () in
  Habit.missed t;
  (* These do not count, and then there are the four. *)
  for i = 1 to 16 + 4 do
    check_int "not yet" 0 (Habit.patience t ~most:second);
    exchange t ~at:(i * second) ~took:ms
  done;
  check_bool "again" true (Habit.patience t ~most:second > 0)

let () =
  Alcotest.run "units"
    [
      ("seq", [ case "numbers wrap" sequence_numbers_wrap ]);
      ("siphash", [ case "vectors" siphash_vectors ]);
      ("rtt", [ case "timeouts stay at the ceiling" timeouts_stay_at_the_ceiling ]);
      ("cookie", [ case "check" cookies; case "stamps" cookie_stamps ]);
      ("limit", [ case "a second" limit ]);
      ( "habit",
        [
          case "of four" habit_of_four;
          case "of slow answers" habit_of_slow_answers;
          case "that is missed" habit_that_is_missed;
        ] );
    ]
