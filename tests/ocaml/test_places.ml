(* Who makes room when all places are taken. *)

module Places = Mirust.Places

(* Times differ by more than the clock's steps. *)
let a_moment ?(ns = 200_000L) () =
  let until = Int64.add (Mirust.Mclock.elapsed_ns ()) ns in
  while Mirust.Mclock.elapsed_ns () < until do
    ()
  done

let places n =
  let t = Places.create n and gone = ref [] in
  let take name =
    a_moment ();
    Places.take t ~leave:(fun () -> gone := name :: !gone)
  in
  (t, take, gone)

let check_gone = Alcotest.(check (list string))

let the_longest_idle () =
  let t, take, gone = places 2 in
  let a = take "a" in
  let _b = take "b" in
  check_gone "there is room" [] !gone;
  a_moment ();
  Places.moved a;
  ignore (take "c" : Places.place);
  check_gone "b was idle for longer" [ "b" ] !gone;
  Alcotest.(check int) "taken" 2 (Places.taken t);
  Places.give t a;
  Places.give t a;
  ignore (take "d" : Places.place);
  check_gone "somebody left by himself" [ "b" ] !gone

let credit () =
  let _, take, gone = places 3 in
  let old = take "old" in
  a_moment ~ns:50_000_000L ();
  for _ = 1 to 100 do
    Places.served old
  done;
  for i = 1 to 10 do
    ignore (take (string_of_int i) : Places.place)
  done;
  Alcotest.(check bool) "who was served stays" false (List.mem "old" !gone)

(* Who comes in the same turn as a hundred others has not been idle at all. *)
let all_at_once () =
  let t, take, gone = places 3 in
  let old = take "old" in
  a_moment ~ns:50_000_000L ();
  Places.served old;
  a_moment ~ns:20_000_000L ();
  for i = 1 to 100 do
    ignore (Places.take t ~leave:(fun () -> gone := string_of_int i :: !gone) : Places.place)
  done;
  Alcotest.(check int) "so many had to go" 98 (List.length !gone);
  Alcotest.(check bool) "who was served stays" false (List.mem "old" !gone)

(* Ten thousand answers within a moment are worth no more than one: some answers in a while are worth more. *)
let burst () =
  let _, take, gone = places 2 in
  let old = take "old" and burst = take "burst" in
  for _ = 1 to 10_000 do
    Places.served burst
  done;
  a_moment ~ns:100_000_000L ();
  for _ = 1 to 4 do
    Places.served old
  done;
  ignore (take "new" : Places.place);
  check_gone "a burst is worth one" [ "burst" ] !gone

(* A known client asks, and then a crowd comes, before he is answered. *)
let in_the_middle () =
  let t, take, gone = places 3 in
  let old = take "old" in
  let other = take "other" in
  for _ = 1 to 1000 do
    Places.served old
  done;
  a_moment ();
  Places.moved other;
  Places.set_busy old true;
  (* So long that it makes no difference if something else ran in that moment. *)
  a_moment ~ns:20_000_000L ();
  ignore (take "1" : Places.place);
  ignore (take "2" : Places.place);
  check_gone "a stranger goes" [ "other" ] !gone;
  (* Known or not, a client goes when it keeps others waiting; clients that were served less go first. *)
  Places.give t old;
  let t, take, gone = places 2 in
  let old = take "old" in
  for _ = 1 to 3 do
    Places.served old
  done;
  Places.set_busy old true;
  let known = take "known" in
  for _ = 1 to 1000 do
    Places.served known
  done;
  ignore (take "1" : Places.place);
  check_gone "who keeps others waiting" [ "old" ] !gone;
  Places.give t known

(* His second request takes some milliseconds, and in the turn in which it is answered hundreds come. *)
let second_request () =
  let t, take, gone = places 3 in
  let old = take "old" in
  a_moment ~ns:100_000_000L ();
  Places.served old;
  Places.set_busy old true;
  a_moment ~ns:15_000_000L ();
  for i = 1 to 300 do
    ignore (Places.take t ~leave:(fun () -> gone := string_of_int i :: !gone) : Places.place)
  done;
  Alcotest.(check int) "so many had to go" 298 (List.length !gone);
  Alcotest.(check bool) "who is being served stays" false (List.mem "old" !gone)

let one_at_least () =
  let t, take, gone = places 0 in
  ignore (take "a" : Places.place);
  ignore (take "b" : Places.place);
  check_gone "one" [ "a" ] !gone;
  Alcotest.(check int) "taken" 1 (Places.taken t)

let fewer () =
  let t, take, gone = places 4 in
  let old = take "old" in
  a_moment ~ns:50_000_000L ();
  Places.served old;
  List.iter (fun name -> ignore (take name : Places.place)) [ "a"; "b"; "c" ];
  Places.set_most t 2;
  check_gone "nobody is pushed out for nothing" [] !gone;
  ignore (take "new" : Places.place);
  check_gone "as many as it takes" [ "c"; "b"; "a" ] !gone;
  Alcotest.(check int) "taken" 2 (Places.taken t);
  Places.set_most t 1;
  Places.shed t;
  check_gone "at once, where that is asked for" [ "new"; "c"; "b"; "a" ] !gone;
  Places.shed t;
  Alcotest.(check int) "taken" 1 (Places.taken t)

(* What follows the memory is told at once, and of each change. *)
let following () =
  let before = Mirust.Budget.get () in
  let told = ref [] in
  Mirust.Budget.follow (fun { total; _ } -> told := total :: !told);
  let t = Places.of_memory (fun { connections; _ } -> connections) in
  Fun.protect
    ~finally:(fun () -> Mirust.Budget.set before.total)
    (fun () ->
      let small = 1 lsl 20 in
      Mirust.Budget.set small;
      Mirust.Budget.look_again ();
      Alcotest.(check (list int)) "told" [ small; before.total ] !told;
      let most = (Mirust.Budget.divide small).connections in
      for _ = 0 to most do
        ignore (Places.take t ~leave:ignore : Places.place)
      done;
      Alcotest.(check int) "places" most (Places.taken t))

let tests =
  [
    Alcotest.test_case "the_longest_idle_makes_room" `Quick the_longest_idle;
    Alcotest.test_case "those_who_were_served_may_be_idle" `Quick credit;
    Alcotest.test_case "those_who_are_being_served_stay" `Quick in_the_middle;
    Alcotest.test_case "a_crowd_in_one_turn_makes_room_itself" `Quick all_at_once;
    Alcotest.test_case "a_second_request_is_answered_in_a_crowd" `Quick second_request;
    Alcotest.test_case "a_burst_is_worth_no_more_than_one" `Quick burst;
    Alcotest.test_case "there_is_one_at_least" `Quick one_at_least;
    Alcotest.test_case "when_there_are_fewer_some_have_to_go" `Quick fewer;
    Alcotest.test_case "places_follow_the_memory" `Quick following;
  ]
