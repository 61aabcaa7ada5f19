(* What a segment costs does not grow with what is in flight or held, whatever the peer does: with a small segment size
   and a large window it acknowledges every second segment selectively, the latest first, and so has us mark thousands
   of pieces; it sends single octets from the end of our window to its beginning. *)

open Mirust_tcp
module Wire = Mirust_wire.Tcp

let ms = 1_000_000
let server_ip = Ipaddr.of_string_exn "192.0.2.1"
let peer_ip = Ipaddr.of_string_exn "192.0.2.2"

type world = {
  mutable now : int;
  mutable highest : int; (* behind what was sent *)
  mutable una : int;
  mutable conn : Engine.connection option;
}

let conn w = Option.get w.conn

let make octets =
  let w = { now = 1_000_000_000; highest = 0; una = 0; conn = None } in
  let rng = Random.State.make [| 7 |] in
  let config =
    { Engine.default_config with pacing = false; send_buffer = octets; send_buffer_max = octets }
  in
  let engine =
    Engine.create ~config ~now:w.now
      ~random:(fun n -> String.init n (fun _ -> Char.chr (Random.State.int rng 256)))
      ~mss:(fun ~dst:_ -> 1460)
      ~can_send:(fun () -> true)
      (fun ~src:_ ~dst:_ ~ect:_ h _ ~length ~segment_size:_ ->
        if Wire.Flags.(has h.flags syn) then w.highest <- Seq.add h.seq 1
        else w.highest <- Seq.max w.highest (Seq.add h.seq length))
  in
  let accept c = w.conn <- Some c in
  (match Engine.listen engine ~port:80 accept with Ok () -> () | Error _ -> assert false);
  (w, engine)

let segment w engine ?(options = Wire.no_options) flags ~seq ~ack =
  let header =
    {
      Wire.src_port = 5000;
      dst_port = 80;
      seq;
      ack;
      flags;
      window = 65535;
      urgent = 0;
      options;
      header_length = 20;
    }
  in
  Engine.input engine ~now:w.now ~src:peer_ip ~dst:server_ip ~ce:false header Cstruct.empty

let rec turn w engine =
  w.now <- w.now + ms;
  Engine.advance engine ~now:w.now;
  Engine.flush engine ~now:w.now;
  if Engine.has_more engine then turn w engine

(* As much in flight as the buffer allows. *)
let fill w engine =
  let offer = { Wire.no_options with mss = 100; window_scale = 14; sack_permitted = true } in
  segment w engine Wire.Flags.syn ~seq:0 ~ack:0 ~options:offer;
  turn w engine;
  segment w engine Wire.Flags.ack ~seq:1 ~ack:w.highest;
  let chunk = Cstruct.create 65536 in
  let write () =
    while Engine.write_space engine (conn w) > 0 do
      ignore (Engine.write engine (conn w) chunk : (unit, _) result)
    done;
    turn w engine
  in
  while Cc.cwnd (Engine.tcb (conn w)).cc < (Engine.info (conn w)).send_buffer do
    write ();
    w.una <- w.highest;
    segment w engine Wire.Flags.ack ~seq:1 ~ack:w.una;
    turn w engine
  done;
  write ()

let block w n = (Seq.add w.una (n * 100), Seq.add w.una ((n + 1) * 100))

(* Time for each acknowledgement, when about [segments] are in flight. *)
let cost segments =
  let w, engine = make (segments * 100) in
  fill w engine;
  let start = Sys.time () and acks = ref 0 in
  let rec go n =
    if n >= 8 then (
      let sack = [ block w n; block w (n - 2); block w (n - 4); block w (n - 6) ] in
      segment w engine Wire.Flags.ack ~seq:1 ~ack:w.una ~options:{ Wire.no_options with sack };
      incr acks;
      go (n - 8))
  in
  go ((Seq.diff w.highest w.una / 100) - 2);
  let pieces = Flight.count (Engine.tcb (conn w)).flight in
  if pieces < segments / 2 then Alcotest.failf "only %d pieces" pieces;
  (* Now single ones, of all the others. *)
  for i = 0 to 999 do
    let sack = [ block w (1 + (2 * i * (segments / 2200))) ] in
    segment w engine Wire.Flags.ack ~seq:1 ~ack:w.una ~options:{ Wire.no_options with sack }
  done;
  (Sys.time () -. start) /. float (!acks + 1000)

(* The best of some runs, as other processes disturb. *)
let best cost segments = List.fold_left min infinity (List.init 5 (fun _ -> cost segments))

let sack () =
  let few = best cost 2500 and many = best cost 160_000 in
  (* Caches and logarithms make some difference, and so do other processes; a scan would make it 64 times. *)
  if many > 24. *. few then
    Alcotest.failf "%.1f us for each of 2500 segments, %.1f us for each of 160000" (few *. 1e6)
      (many *. 1e6)

(* Time for each of this many octets that are put where [seq] says. *)
let octets seq n =
  let t = Reassembly.create () and view = Cstruct.create 1 in
  let start = Sys.time () in
  for i = 1 to n do
    if Reassembly.insert t ~seq:(seq ~n i) view ~max_ranges:256 <> 1 then Alcotest.fail "refused"
  done;
  let time = (Sys.time () -. start) /. float n in
  if Reassembly.views t <> n then Alcotest.failf "%d views" (Reassembly.views t);
  let next = match Reassembly.ranges t with (left, _) :: _ -> left | [] -> 0 in
  ignore (Reassembly.pop t next ignore : Seq.t);
  time

let ahead seq () =
  let few = best (octets seq) 400 and many = best (octets seq) 8000 in
  (* If each walked over those before it, it would be 20 times. *)
  if many > 6. *. few then
    Alcotest.failf "%.2f us for each of 400 octets, %.2f us for each of 8000" (few *. 1e6)
      (many *. 1e6)

let () =
  let case = Alcotest.test_case in
  Alcotest.run "costs"
    [
      ("sack", [ case "an acknowledgement" `Quick sack ]);
      ( "ahead of a gap",
        [
          case "the next one" `Quick (ahead (fun ~n:_ i -> i));
          case "the one before" `Quick (ahead (fun ~n i -> n - i));
          (* In twos: one with a gap behind it, and then the gap. *)
          case "between two" `Quick (ahead (fun ~n i -> n - i + if i land 1 = 1 then -1 else 1));
        ] );
    ]
