(* Congestion control: slow start, New Reno, CUBIC, and reductions that are undone. *)

open Mirust_tcp

let case name f = Alcotest.test_case name `Quick f
let check_int = Alcotest.(check int)
let check_bool = Alcotest.(check bool)
let mss = 1000
let rtt = 100_000_000

(* A round trip in which everything is acknowledged, segment by segment. *)
let round ?(rtt = rtt) cc ~now =
  for _ = 1 to Cc.cwnd cc / mss do
    Cc.acked cc ~now ~rtt ~octets:mss
  done

let slow_start_doubles () =
  let cc = Cc.create Cubic ~mss in
  check_int "initial" 10_000 (Cc.cwnd cc);
  round cc ~now:0;
  check_int "doubled" 20_000 (Cc.cwnd cc)

(* The round trips from before a reduction that is undone are no measure for those after it. *)
let slow_start_goes_on_after_an_undo () =
  let cc = Cc.create Cubic ~mss in
  List.iter (fun n -> round cc ~now:(n * rtt)) [ 1; 2; 3 ];
  let before = Cc.cwnd cc and saved = Cc.save cc in
  Cc.congestion cc ~in_flight:before;
  Cc.undo cc saved;
  round cc ~now:(4 * rtt);
  round cc ~now:(5 * rtt);
  check_int "doubled twice" (4 * before) (Cc.cwnd cc)

(* The same when most of a round is yet to come, whose samples would be enough to judge by. *)
let slow_start_goes_on_after_an_undo_early_in_a_round () =
  let cc = Cc.create Cubic ~mss in
  List.iter (fun n -> round cc ~now:(n * rtt)) [ 1; 2; 3 ];
  Cc.acked cc ~now:(4 * rtt) ~rtt ~octets:mss;
  let before = Cc.cwnd cc and saved = Cc.save cc in
  Cc.congestion cc ~in_flight:before;
  Cc.undo cc saved;
  round cc ~now:(4 * rtt);
  check_int "doubled" (2 * before) (Cc.cwnd cc)

let slow_start_ends_when_the_round_trip_rises () =
  let cc = Cc.create Cubic ~mss in
  let now = ref 0 in
  let step rtt =
    now := !now + rtt;
    round cc ~rtt ~now:!now
  in
  step rtt;
  step rtt;
  let before = Cc.cwnd cc in
  (* RFC 9406: gentler for five rounds, and then no slow start any more. *)
  for _ = 1 to 8 do
    step (rtt + 30_000_000)
  done;
  check_bool "ended" false (Cc.in_slow_start cc);
  check_bool "did not double on" true (Cc.cwnd cc < before * 8)

(* RFC 9406 section 4.2: an eighth of the last round's least, and that itself is enough. *)
let slow_start_ends_at_the_threshold () =
  let after rise =
    let cc = Cc.create Cubic ~mss in
    List.iter (fun rise -> round cc ~rtt:(rtt + rise) ~now:(Cc.cwnd cc)) [ 0; 0; rise; rise ];
    Cc.cwnd cc
  in
  check_int "below" 160_000 (after ((rtt / 8) - 1));
  check_bool "there" true (after (rtt / 8) < 160_000)

(* RFC 9438 section 4.7: who lost at the same window as before leaves no room; who lost at a smaller one does. *)
let room_is_left_below_the_last_window_only () =
  let after window =
    let cc = Cc.create Cubic ~mss in
    List.iter
      (fun window ->
        Cc.set_cwnd cc window;
        Cc.congestion cc ~in_flight:window)
      [ 100_000; window ];
    Cc.set_cwnd cc 70_000;
    for i = 1 to 20 do
      round cc ~now:(i * rtt)
    done;
    Cc.cwnd cc
  in
  let once =
    let cc = Cc.create Cubic ~mss in
    Cc.set_cwnd cc 100_000;
    Cc.congestion cc ~in_flight:100_000;
    Cc.set_cwnd cc 70_000;
    for i = 1 to 20 do
      round cc ~now:(i * rtt)
    done;
    Cc.cwnd cc
  in
  check_int "the same window" once (after 100_000);
  check_bool "a smaller one" true (after 99_000 < once)

let reno_adds_a_segment_a_round () =
  let cc = Cc.create New_reno ~mss in
  Cc.congestion cc ~in_flight:10_000;
  Cc.set_cwnd cc (Cc.ssthresh cc);
  check_int "halved" 5_000 (Cc.cwnd cc);
  for i = 1 to 5 do
    round cc ~now:(i * rtt);
    check_int "one more" (5_000 + (i * 1_000)) (Cc.cwnd cc)
  done

(* RFC 9438 figure 1: back at the old window after K seconds, slowly there, and faster beyond. *)
let cubic_curve () =
  let cc = Cc.create Cubic ~mss in
  Cc.set_cwnd cc 1_000_000;
  Cc.congestion cc ~in_flight:1_000_000;
  Cc.set_cwnd cc (Cc.ssthresh cc);
  check_int "seven tenths" 700_000 (Cc.cwnd cc);
  let k = Float.cbrt (300. /. 0.4) in
  let rounds = int_of_float (k *. 1e9) / rtt in
  for i = 1 to rounds / 2 do
    round cc ~now:(i * rtt)
  done;
  let half = Cc.cwnd cc in
  for i = (rounds / 2) + 1 to rounds do
    round cc ~now:(i * rtt)
  done;
  let full = Cc.cwnd cc in
  check_bool "most of the way in half of the time" true (half > 930_000);
  check_bool "there after K" true (abs (full - 1_000_000) < 20_000);
  for i = rounds + 1 to 2 * rounds do
    round cc ~now:(i * rtt)
  done;
  check_bool "beyond" true (Cc.cwnd cc > 1_200_000)

let cubic_gives_room_to_newcomers () =
  let cc = Cc.create Cubic ~mss in
  Cc.set_cwnd cc 1_000_000;
  Cc.congestion cc ~in_flight:1_000_000;
  Cc.set_cwnd cc (Cc.ssthresh cc);
  Cc.congestion cc ~in_flight:700_000;
  Cc.set_cwnd cc (Cc.ssthresh cc);
  check_bool "window" true (abs (Cc.cwnd cc - 490_000) <= 1);
  (* The second loss came below the old maximum: the curve's plateau is now at 0.85 of 700 000, and
     K is 6.4 s. *)
  for i = 1 to 64 do
    round cc ~now:(i * rtt)
  done;
  check_bool "plateau" true (abs (Cc.cwnd cc - 595_000) < 15_000)

let reductions_are_undone () =
  let cc = Cc.create Cubic ~mss in
  Cc.set_cwnd cc 50_000;
  let saved = Cc.save cc in
  Cc.timeout cc ~in_flight:50_000;
  check_int "timeout" 1_000 (Cc.cwnd cc);
  Cc.undo cc saved;
  check_int "cwnd" 50_000 (Cc.cwnd cc);
  check_int "ssthresh" max_int (Cc.ssthresh cc)

let () =
  Alcotest.run "congestion control"
    [
      ( "slow start",
        [
          case "doubles" slow_start_doubles;
          case "goes on after an undo" slow_start_goes_on_after_an_undo;
          case "goes on after an undo early in a round"
            slow_start_goes_on_after_an_undo_early_in_a_round;
          case "ends when the round trip rises" slow_start_ends_when_the_round_trip_rises;
          case "ends at the threshold" slow_start_ends_at_the_threshold;
        ] );
      ( "after a loss",
        [
          case "room is left below the last window only" room_is_left_below_the_last_window_only;
          case "New Reno adds a segment a round" reno_adds_a_segment_a_round;
          case "CUBIC's curve" cubic_curve;
          case "CUBIC gives room to newcomers" cubic_gives_room_to_newcomers;
          case "reductions are undone" reductions_are_undone;
        ] );
    ]
