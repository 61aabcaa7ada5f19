(* The small modules, each against a model or numbers from elsewhere. *)

open Mirust_tcp

let case name f = Alcotest.test_case name `Quick f
let check_int = Alcotest.(check int)
let check_bool = Alcotest.(check bool)
let ms = 1_000_000
let second = 1000 * ms
let octet n = Char.unsafe_chr (n * 7 land 0xff)

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

(* ---- Opening ---- *)

let size_for_a_peer_that_announces_none () =
  let size us peer =
    let us = Ipaddr.of_string_exn us and peer = Ipaddr.of_string_exn peer in
    let engine =
      Engine.create ~now:second
        ~random:(fun n -> String.make n 'r')
        ~mss:(fun ~dst:_ -> 1440)
        ~can_send:(fun () -> true)
        (fun ~src:_ ~dst:_ ~ect:_ _ _ ~length:_ ~segment_size:_ -> ())
    in
    Result.get_ok (Engine.listen engine ~port:80 ignore);
    let module Wire = Mirust_wire.Tcp in
    let syn =
      {
        (Wire.create ()) with
        src_port = 1000;
        dst_port = 80;
        flags = Wire.Flags.syn;
        window = 9000;
      }
    in
    Engine.input engine ~now:second ~src:peer ~dst:us ~ce:false syn Cstruct.empty;
    let c = Engine.lookup engine ~local:(us, 80) ~remote:(peer, 1000) in
    (Engine.info (Option.get c)).mss
  in
  check_int "IPv4" 536 (size "192.0.2.1" "192.0.2.2");
  check_int "IPv6" 1220 (size "2001:db8::1" "2001:db8::2")

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

(* ---- Tables without memory ---- *)

(* Wherever memory ends while the [n + 1]th is added, where the table grows: the others are still found, and it can be
   added later. Entries are numbers here. *)
let grows_without_memory n ~create ~add ~find () =
  let rec failures nth =
    let table = create () in
    for i = 1 to n do
      add table i
    done;
    let failed = Shortage.fails_at nth (fun () -> add table (n + 1)) in
    for i = 1 to n do
      check_bool "found" true (find table i)
    done;
    if failed && not (find table (n + 1)) then add table (n + 1);
    for i = 1 to n + 1 do
      check_bool "found afterwards" true (find table i)
    done;
    if failed then 1 + failures (nth + 1) else 0
  in
  check_bool "failures" true (failures 1 > 0)

(* ---- Table ---- *)

let table () = Table.create ~random:(fun n -> String.init n (fun i -> Char.chr (7 * i land 255)))

let add_connection table i =
  let { Tcb.local; remote; _ } = Tcb.no_connection in
  let hash = Table.hash table { local; local_port = 80; remote; remote_port = i } in
  Table.add table { Tcb.no_connection with local_port = 80; remote_port = i; hash }

let has_connection table i =
  let { Tcb.local; remote; _ } = Tcb.no_connection in
  Option.is_some (Table.find table ~local ~local_port:80 ~remote ~remote_port:i)

(* Words that change places make another hash: else a stranger could have as many connections as he likes in one
   place of the table, without knowing its secret. *)
let every_word_of_an_address_counts_by_itself () =
  let rng = Random.State.make [| 1 |] in
  let table =
    Table.create ~random:(fun n -> String.init n (fun _ -> Char.chr (Random.State.int rng 256)))
  in
  let address words =
    Ipaddr.V6
      (Scanf.sscanf words "%lx %lx %lx %lx" (fun a b c d -> Ipaddr.V6.of_int32 (a, b, c, d)))
  in
  let plain = address "1 2 3 4" in
  let all =
    List.map address
      [ "1 2 3 4"; "2 1 3 4"; "3 2 1 4"; "4 2 3 1"; "1 3 2 4"; "1 4 3 2"; "1 2 4 3"; "0 3 3 4" ]
  in
  let key local remote = { Table.local; local_port = 80; remote; remote_port = 5000 } in
  let hashes =
    List.map (fun a -> Table.hash table (key a plain)) all
    @ List.map (fun a -> Table.hash table (key plain a)) (List.tl all)
    @ [ Table.hash table { (key plain plain) with local_port = 5000; remote_port = 80 } ]
  in
  check_int "all differ" (List.length hashes) (List.length (List.sort_uniq compare hashes))

(* ---- Congestion control ---- *)

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

(* ---- Numbers and ports of new connections ---- *)

let host n = Ipaddr.V4 (Ipaddr.V4.make 10 0 0 n)

let engine ?(config = Engine.default_config) ?(secret = 'a') ?(mss = fun ~dst:_ -> 1460) () =
  Engine.create ~config ~now:0
    ~random:(fun n -> String.make n secret)
    ~mss
    ~can_send:(fun () -> true)
    (fun ~src:_ ~dst:_ ~ect:_ _ _ ~length:_ ~segment_size:_ -> ())

let connect ?(now = 0) ?src_port ?(to_ = 2) ?(dst_port = 80) e =
  Engine.connect e ~now ?src_port ~src:(host 1) ~dst:(host to_) ~dst_port ignore

let opened = function Ok c -> c | Error _ -> Alcotest.fail "no connection"
let iss c = (Engine.tcb (opened c)).iss
let port c = snd (Engine.local (opened c))

(* RFC 6528: for one name the numbers follow a clock of 4 us; for others they say nothing. *)
let initial_numbers () =
  let e = engine () in
  let first = connect ~src_port:1000 e in
  Engine.abort e (opened first);
  let again = connect ~src_port:1000 ~now:1_000_000_000 e in
  check_int "a second later" 250_000 (Seq.diff (iss again) (iss first));
  let far a b = abs (Seq.diff (iss a) (iss b)) > 1_000_000 in
  check_bool "another port" true (far first (connect ~src_port:1001 e));
  check_bool "another host" true (far first (connect ~src_port:1000 ~to_:3 e));
  check_bool "another secret" true (far first (connect ~src_port:1000 (engine ~secret:'b' ())))

(* RFC 6056 section 3.3.3: one destination's ports say nothing of another's. *)
let ports_are_hard_to_guess () =
  let e = engine () in
  let ports to_ = List.init 10 (fun _ -> port (connect ~to_ e)) in
  let a = ports 2 and b = ports 3 in
  let all = List.sort_uniq compare a in
  check_int "not used twice" 10 (List.length all);
  check_bool "dynamic" true (List.for_all (fun p -> p >= 32768 && p <= 65535) (a @ b));
  check_bool "elsewhere" true (List.for_all (fun p -> List.for_all (fun q -> abs (p - q) > 20) b) a);
  let other = port (connect (engine ~secret:'b' ())) in
  check_bool "not known without the secret" true (abs (other - List.hd a) > 20)

let out_of_ports () =
  let e = engine ~config:{ Engine.default_config with connections_max = 100_000 } () in
  for _ = 1 to 32768 do
    ignore (opened (connect e) : Engine.connection)
  done;
  check_bool "an error" true (connect e = Error `No_port);
  check_bool "elsewhere there are some" true (Result.is_ok (connect ~to_:3 e))

(* To an own address, the port that is connected to is not chosen: that would be a connection with itself. *)
let never_with_itself () =
  let e = engine ~config:{ Engine.default_config with connections_max = 100_000 } () in
  let connect () = connect ~to_:1 ~dst_port:40_000 e in
  for _ = 1 to 32767 do
    check_bool "another port" false (port (connect ()) = 40_000)
  done;
  check_bool "all others are taken" true (connect () = Error `No_port)

let out_of_connections () =
  let e = engine ~config:{ Engine.default_config with connections_max = 1 } () in
  let only = opened (connect e) in
  check_bool "an error" true (connect e = Error `No_memory);
  Engine.abort e only;
  check_bool "room again" true (Result.is_ok (connect e))

(* Connections whose peers do not read hold all memory: there is still a segment's for another one. *)
let others_hold_all_memory () =
  let e = engine ~config:{ Engine.default_config with memory_max = 1000 } () in
  let put = Engine.write e (opened (connect e)) (Cstruct.create 2000) in
  check_bool "written" true (Result.is_ok put && Engine.memory e >= 1000);
  let another = opened (connect e) in
  check_bool "a segment" true (Engine.write_space e another > 0)

(* The domain has got more memory, or has less. *)
let bounds_follow () =
  let e = engine ~config:{ Engine.default_config with connections_max = 1 } () in
  let bounds n = Engine.set_bounds e ~memory:100_000 ~connections:n ~time_wait:1 in
  let first = opened (connect e) in
  bounds 2;
  let second = opened (connect e) in
  check_bool "no third one" true (connect e = Error `No_memory);
  bounds 1;
  List.iter (fun c -> check_bool "lives on" true (Engine.state c = Syn_sent)) [ first; second ];
  Engine.abort e first;
  check_bool "still one" true (connect e = Error `No_memory);
  Engine.abort e second;
  check_bool "room again" true (Result.is_ok (connect e));
  let backlog n =
    bounds n;
    (Engine.env e).config.backlog
  in
  check_int "a quarter" 25 (backlog 100);
  check_int "at least one" 1 (backlog 1);
  check_int "more again" 100 (backlog 400);
  check_int "what was wanted" Engine.default_config.backlog (backlog 1_000_000)

(* It costs the connection at which memory runs out, and the others hear of the link. *)
let link_changes_while_memory_is_short () =
  let path = ref 1460 and short = ref false in
  let mss ~dst:_ =
    if !short then (
      short := false;
      raise Out_of_memory);
    !path
  in
  let e = engine ~mss () in
  let all = List.init 10 (fun i -> opened (connect ~to_:(2 + i) e)) in
  path := 1000;
  short := true;
  check_bool "is told" true
    (match Engine.link_changed e ~now:1 with () -> false | exception Out_of_memory -> true);
  let gone, left = List.partition Engine.ended all in
  check_int "one is lost" 1 (List.length gone);
  List.iter (fun c -> check_int "the others" 1000 (Engine.tcb c).path_mss) left

(* Wherever memory ends while one is opened, or ends because its peer cannot be reached: it is there, or its user
   knows. *)
let handshake_without_memory act () =
  let rec failures nth =
    let e = engine () and told = ref false and log = ref [] in
    let notify _ =
      log := () :: !log;
      told := true
    in
    let result = ref (Error `Invalid) in
    let failed =
      Shortage.fails_at nth (fun () ->
          result := Engine.connect e ~now:0 ~src:(host 1) ~dst:(host 2) ~dst_port:80 notify;
          act e (opened !result))
    in
    (match !result with
    | Error _ -> check_int "it is not there" 0 (Engine.connections e)
    | Ok c -> check_bool "it is told" (Engine.ended c) !told);
    if failed then 1 + failures (nth + 1)
    else (
      check_bool "it has ended" true !told;
      0)
  in
  check_bool "failures" true (failures 1 > 10)

let port_of c = snd (Engine.local c)

let unreachable e c =
  let seq = (Engine.tcb c).iss and src_port = port_of c in
  ignore
    (Engine.unreachable e ~now:0 ~src:(host 1) ~dst:(host 2) ~src_port ~dst_port:80 ~seq `Port
      : bool)

let no_neighbour e c =
  let src_port = port_of c in
  ignore (Engine.no_neighbour e ~now:0 ~src:(host 1) ~dst:(host 2) ~src_port ~dst_port:80 : bool)

(* Neither to nor from what is not of one host, nor from one family to the other. *)
let addresses () =
  let hosts = [ "192.0.2.9"; "fe80::9" ] in
  let others =
    [ "0.0.0.0"; "255.255.255.255"; "224.0.0.1"; "239.255.255.255"; "::"; "ff02::1"; "ff0e::9" ]
  in
  let ip = Ipaddr.of_string_exn in
  let is_v4 a = String.contains a '.' in
  let e = engine () in
  let syn ~src ~dst =
    let header =
      {
        Mirust_wire.Tcp.src_port = 5000;
        dst_port = 80;
        seq = 7;
        ack = 0;
        flags = Mirust_wire.Tcp.Flags.syn;
        window = 1000;
        urgent = 0;
        options = Mirust_wire.Tcp.no_options;
        header_length = 20;
      }
    in
    let before = (Engine.stats e).segments_out in
    Engine.input e ~now:0 ~src:(ip src) ~dst:(ip dst) ~ce:false header Cstruct.empty;
    (Engine.stats e).segments_out > before || (Engine.stats e).resets_out > 0
  in
  let connect ?src_port ?(dst_port = 80) src dst =
    match Engine.connect e ~now:0 ?src_port ~src:(ip src) ~dst:(ip dst) ~dst_port ignore with
    | Ok c ->
        Engine.abort e c;
        true
    | Error `Invalid -> false
    | Error (`No_port | `No_memory) -> Alcotest.fail "connect"
  in
  List.iter
    (fun host ->
      let same = List.filter (fun a -> is_v4 a = is_v4 host) others in
      List.iter
        (fun other ->
          check_bool ("from " ^ other) false (connect other host);
          check_bool ("to " ^ other) false (connect host other);
          check_bool ("a SYN from " ^ other) false (syn ~src:other ~dst:host);
          check_bool ("a SYN to " ^ other) false (syn ~src:host ~dst:other))
        same;
      check_bool "to a host" true (connect host host))
    hosts;
  check_bool "two families" false (connect "192.0.2.9" "fe80::9");
  check_bool "two families" false (connect "fe80::9" "192.0.2.9");
  List.iter
    (fun port ->
      check_bool "to no port" false (connect ~dst_port:port "192.0.2.9" "192.0.2.8");
      check_bool "from no port" false (connect ~src_port:port "192.0.2.9" "192.0.2.8"))
    [ min_int; -1; 0; 65536; max_int ];
  List.iter
    (fun port ->
      check_bool "to the last one" true (connect ~dst_port:port "192.0.2.9" "192.0.2.8");
      check_bool "from it" true (connect ~src_port:port "192.0.2.9" "192.0.2.8"))
    [ 1; 65535 ];
  check_bool "a SYN to a host" true (syn ~src:"fe80::9" ~dst:"fe80::8")

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

(* ---- Waiting ---- *)

let waiting_entry i =
  {
    Waiting.none with
    local_port = 80;
    remote_port = i;
    (* Some fall together, and the highest bits tell places apart. *)
    hash = i mod 97 * (max_int / 97);
    until = 1000 + (i / 10 * 10);
  }

let has_waiting t i =
  let nobody = Waiting.none.local in
  Waiting.find t ~hash:(waiting_entry i).hash ~local:nobody ~local_port:80 ~remote:nobody
    ~remote_port:i
  != Waiting.none

let waiting () =
  let t = Waiting.create () and n = 1000 in
  let nobody = Waiting.none.local in
  let find i =
    Waiting.find t ~hash:(waiting_entry i).hash ~local:nobody ~local_port:80 ~remote:nobody
      ~remote_port:i
  in
  check_int "nothing is due" max_int (Waiting.next t);
  for i = 0 to n - 1 do
    Waiting.add t (waiting_entry i)
  done;
  check_int "all" n (Waiting.length t);
  check_bool "a stranger" true (find n == Waiting.none);
  for i = 0 to n - 1 do
    check_int "found" i (find i).remote_port;
    if i mod 3 = 0 then (
      Waiting.remove t (find i);
      check_bool "removed" true (find i == Waiting.none))
  done;
  check_int "the oldest of the rest" 1 (Waiting.oldest t).remote_port;
  (* At its own time, too. *)
  Waiting.expire t ~now:1490;
  check_int "the next is later" 1500 (Waiting.next t);
  for i = 0 to n - 1 do
    check_bool "those that are left" (i mod 3 > 0 && i >= 500) (find i != Waiting.none)
  done;
  Waiting.clear t;
  check_int "none" 0 (Waiting.length t);
  check_int "nothing is due again" max_int (Waiting.next t)

let () =
  Alcotest.run "units"
    [
      ( "new connections",
        [
          case "initial numbers" initial_numbers;
          case "ports are hard to guess" ports_are_hard_to_guess;
          case "out of ports" out_of_ports;
          case "never with itself" never_with_itself;
          case "out of connections" out_of_connections;
          case "others hold all memory" others_hold_all_memory;
          case "bounds follow" bounds_follow;
          case "addresses and ports" addresses;
          case "the link changes while memory is short" link_changes_while_memory_is_short;
          case "refused without memory" (handshake_without_memory unreachable);
          case "nobody there without memory" (handshake_without_memory no_neighbour);
        ] );
      ("seq", [ case "numbers wrap" sequence_numbers_wrap ]);
      ( "ring",
        case "gives back what a crowd needed" (ring_gives_back 1000)
        (* Where it is full, and begins at the first place again. *)
        :: case "a crowd of a power of two" (ring_gives_back 1024)
        :: case "keeps nothing alive" ring_keeps_nothing_alive
        :: case "without memory" ring_without_memory
        :: List.init 5 (fun seed ->
               case (Printf.sprintf "model, seed %d" seed) (ring_and_queue seed)) );
      ("rtt", [ case "timeouts stay at the ceiling" timeouts_stay_at_the_ceiling ]);
      ("siphash", [ case "vectors" siphash_vectors ]);
      ( "reassembly",
        case "bounded" reassembly_is_bounded
        :: List.init 20 (fun seed -> case (Printf.sprintf "model, seed %d" seed) (reassembly seed))
      );
      ( "octets",
        List.init 20 (fun seed ->
            case (Printf.sprintf "model, seed %d" seed) (queue_of_octets seed)) );
      ( "habit",
        [
          case "of four" habit_of_four;
          case "of slow answers" habit_of_slow_answers;
          case "that is missed" habit_that_is_missed;
        ] );
      ( "pinned",
        [
          case "short views of large buffers" short_views_of_large_buffers;
          case "neighbours are copied together" neighbours_are_copied_together;
        ] );
      ( "waiting",
        [
          case "found, removed, expired" waiting;
          case "without memory"
            (grows_without_memory 32 ~create:Waiting.create
               ~add:(fun t i -> Waiting.add t (waiting_entry i))
               ~find:has_waiting);
        ] );
      ( "table",
        [
          case "words of addresses" every_word_of_an_address_counts_by_itself;
          case "without memory"
            (grows_without_memory 128 ~create:table ~add:add_connection ~find:has_connection);
        ] );
      ("opening", [ case "no size announced" size_for_a_peer_that_announces_none ]);
      ("cookie", [ case "check" cookies; case "stamps" cookie_stamps ]);
      ("limit", [ case "a second" limit ]);
      ( "congestion control",
        [
          case "slow start doubles" slow_start_doubles;
          case "slow start goes on after an undo" slow_start_goes_on_after_an_undo;
          case "slow start goes on after an undo early in a round"
            slow_start_goes_on_after_an_undo_early_in_a_round;
          case "slow start ends when the round trip rises" slow_start_ends_when_the_round_trip_rises;
          case "slow start ends at the threshold" slow_start_ends_at_the_threshold;
          case "room is left below the last window only" room_is_left_below_the_last_window_only;
          case "New Reno adds a segment a round" reno_adds_a_segment_a_round;
          case "CUBIC's curve" cubic_curve;
          case "CUBIC gives room to newcomers" cubic_gives_room_to_newcomers;
          case "reductions are undone" reductions_are_undone;
        ] );
    ]
