(* One engine, strangers on the network and a user who does anything at any time: nothing raises,
   and the invariants hold after every step. Who decides what they do is up to the caller: a seed, or a fuzzer. *)

open Mirust_tcp
module Wire = Mirust_wire.Tcp

let ms = 1_000_000
let local = Ipaddr.of_string_exn "192.0.2.1"
let remote = Ipaddr.of_string_exn "192.0.2.2"

type world = {
  int : int -> int;
  mutable now : int;
  engine : Engine.t;
  mutable connections : Engine.connection list;
  mutable full : bool;
  edges : (int * int, int * int) Hashtbl.t;
  verbose : bool;
  mutable last_sent : Wire.t option;
}

let say w fmt = Printf.ksprintf (fun s -> if w.verbose then print_endline s) fmt
let int w n = w.int n
let chance w n = int w n = 0
let pick w list = List.nth list (int w (List.length list))

(* A number near one that matters. *)
let near w base =
  Seq.add base
    (pick w [ 0; 0; 0; 0; 1; -1; 2; 100; -100; 1460; 65535; 1 lsl 30; int w 5000; -int w 5000 ])

let numbers w =
  match w.connections with
  | [] -> (int w 0x3fffffff, int w 0x3fffffff, 5000 + int w 3)
  | list ->
      let c = Engine.tcb (pick w list) in
      let seq = pick w [ c.rcv_nxt; c.rcv_nxt; c.rcv_nxt; c.rcv_adv; c.irs ] in
      let ack = pick w [ c.snd_una; c.snd_nxt; c.snd_nxt; Seq.add c.iss 1 ] in
      (near w seq, near w ack, c.remote_port)

let flags w =
  let open Wire.Flags in
  match int w 20 with
  | 0 -> rst
  | 1 -> rst lor ack
  | 2 -> syn
  | 3 -> syn lor ack
  | 4 -> int w 256
  | 5 | 6 -> fin lor ack
  | 7 -> syn lor ece lor cwr
  | 8 -> ack lor ece
  | 9 | 10 | 11 -> ack lor psh
  | _ -> ack

let options w ack : Wire.options =
  let o = Wire.no_options in
  let o = if chance w 4 then { o with mss = pick w [ 0; 1; 88; 536; 1460; 65535 ] } else o in
  let o = if chance w 4 then { o with window_scale = int w 15 } else o in
  let o = if chance w 3 then { o with sack_permitted = true } else o in
  let o =
    if chance w 2 then
      { o with ts_value = near w (w.now / ms land 0xffffffff); ts_echo = near w ack }
    else o
  in
  if chance w 3 then
    let block _ =
      let left = near w ack in
      (left, Seq.add left (int w 4000))
    in
    { o with sack = List.init (1 + int w 4) block }
  else o

let segment w =
  let seq, ack, port = numbers w in
  let port = if chance w 10 then 5000 + int w 3 else port in
  let length = pick w [ 0; 0; 0; 1; 10; 100; 1000; 1460; 5000 ] in
  let header =
    {
      Wire.src_port = port;
      dst_port = (if chance w 30 then 81 else 80);
      seq;
      ack;
      flags = flags w;
      window = pick w [ 0; 0; 1; 100; 1000; 65535; int w 65536 ];
      urgent = int w 65536;
      options = options w ack;
      header_length = 20;
    }
  in
  say w "segment %s length %d" (Fmt.str "%a" Wire.pp header) length;
  Engine.input w.engine ~now:w.now ~src:remote ~dst:local ~ce:(chance w 10) header
    (Cstruct.create length)

(* The answer that a well-behaved peer would give, so that connections get anywhere at all. *)
let polite w =
  match w.last_sent with
  | None -> ()
  | Some h ->
      let open Wire.Flags in
      let syn_in = has h.flags syn and acks = has h.flags ack in
      let seq_length = if has h.flags (syn lor fin) then 1 else 0 in
      let flags = if syn_in && not acks then syn lor ack else ack in
      let options =
        if has flags syn then
          {
            Wire.no_options with
            mss = 1000;
            sack_permitted = true;
            window_scale = 2;
            ts_value = (if h.options.ts_value >= 0 then w.now / ms land 0xffffffff else -1);
            ts_echo = h.options.ts_value;
          }
        else if h.options.ts_value >= 0 then
          {
            Wire.no_options with
            ts_value = w.now / ms land 0xffffffff;
            ts_echo = h.options.ts_value;
          }
        else Wire.no_options
      in
      let c = List.find_opt (fun c -> (Engine.tcb c).Tcb.remote_port = h.dst_port) w.connections in
      let ack =
        match c with
        | Some c when chance w 2 -> (Engine.tcb c).Tcb.snd_nxt
        | _ -> Seq.add h.seq seq_length
      in
      say w "polite answer, ack %d" ack;
      Engine.input w.engine ~now:w.now ~src:remote ~dst:local ~ce:false
        {
          Wire.src_port = h.dst_port;
          dst_port = 80;
          seq = (if acks then h.ack else 77);
          ack;
          flags;
          window = pick w [ 0; 1000; 65535 ];
          urgent = 0;
          options;
          header_length = 20;
        }
        Cstruct.empty

let user w =
  let with_one f = if w.connections <> [] then f (pick w w.connections) in
  match int w 16 with
  | 0 -> (
      say w "connect";
      if List.length w.connections < 4 then
        match
          Engine.connect w.engine ~now:w.now ~src_port:80 ~src:local ~dst:remote
            ~dst_port:(5000 + int w 3)
            ignore
        with
        | Ok c -> w.connections <- c :: w.connections
        | Error _ -> ())
  | 1 | 2 | 3 | 4 ->
      with_one (fun c ->
          let n = pick w [ 1; 10; 500; 1000; 1460; 9000; 60_000 ] in
          say w "write %d" n;
          if Engine.write_space w.engine c > 0 then
            ignore (Engine.write w.engine c (Cstruct.create n) : (unit, _) result))
  | 5 | 6 | 7 ->
      with_one (fun c ->
          say w "read";
          ignore (Engine.read w.engine c : Cstruct.t option))
  | 8 ->
      with_one (fun c ->
          say w "shutdown";
          Engine.shutdown w.engine ~now:w.now c)
  | 9 ->
      with_one (fun c ->
          say w "close";
          Engine.close w.engine ~now:w.now c)
  | 10 ->
      if chance w 4 then
        with_one (fun c ->
            say w "abort";
            Engine.abort w.engine c)
  | 11 ->
      say w "listen";
      if chance w 8 then Engine.unlisten w.engine ~port:80
      else
        ignore
          (Engine.listen w.engine ~port:80 ~backlog:(int w 3) (fun c ->
               w.connections <- c :: w.connections)
            : (unit, _) result)
  | 12 ->
      with_one (fun c ->
          say w "keepalive";
          Engine.set_keepalive w.engine ~now:w.now c
            (if chance w 3 then None
             else
               Some
                 {
                   after = (100 + int w 1000) * ms;
                   interval = (50 + int w 100) * ms;
                   probes = int w 4;
                 }))
  | 13 -> with_one (fun c -> Engine.set_nodelay w.engine c (chance w 2))
  | 14 ->
      w.full <- chance w 2;
      say w "device %s" (if w.full then "full" else "room");
      if not w.full then Engine.resume w.engine
  | _ ->
      with_one (fun c ->
          let t = Engine.tcb c in
          say w "icmp";
          ignore
            (Engine.packet_too_big w.engine ~now:w.now ~src:local ~dst:remote ~src_port:80
               ~dst_port:t.remote_port ~seq:(near w t.snd_una)
               ~mtu:(pick w [ 0; 68; 576; 1280; 1400; 9000 ])
              : bool))

let pass_time w =
  let ns = pick w [ 0; 1; ms; 10 * ms; 300 * ms; 3000 * ms; 100_000 * ms ] in
  say w "+%d ms" (ns / ms);
  w.now <- w.now + ns;
  Engine.advance w.engine ~now:w.now

let check w =
  let in_table = Invariants.engine w.engine w.edges in
  let ended = List.filter Engine.ended w.connections in
  let held = List.fold_left (fun n c -> n + Invariants.held (Engine.tcb c)) in_table ended in
  if held <> Engine.memory w.engine then
    Invariants.failf "memory %d, held %d" (Engine.memory w.engine) held;
  (* Closed connections that nobody will read are forgotten. *)
  w.connections <-
    List.filter (fun c -> not (Engine.ended c && Invariants.held (Engine.tcb c) = 0)) w.connections

let config int : Engine.config =
  let bool () = int 2 = 0 in
  {
    Engine.default_config with
    algorithm = (if bool () then Cubic else New_reno);
    timestamps = bool ();
    sack = bool ();
    ecn = bool ();
    pacing = bool ();
    receive_buffer = 1000 + int 100_000;
    receive_buffer_max = 200_000;
    send_buffer = 1000 + int 100_000;
    send_buffer_max = 200_000;
    memory_max = 10_000 + int 500_000;
    max_ranges = 1 + int 10;
    time_wait_max = int 3;
    connections_max = 2 + int 5;
    backlog = int 3;
  }

(* [choose n] is a number from 0 to [n - 1]; [n] is at most 2^30. [steps] are the most that happen. *)
let run ?(verbose = false) ~steps choose =
  let config = config choose in
  let rec w =
    lazy
      {
        int = choose;
        now = 1_000_000_000 + choose (1 lsl 29);
        engine =
          Engine.create ~config ~now:1_000_000_000
            ~random:(fun n -> String.init n (fun _ -> Char.chr (choose 256)))
            ~mss:(fun ~dst:_ -> 1460)
            ~can_send:(fun () -> not (Lazy.force w).full)
            (fun ~src:_ ~dst:_ ~ect:_ h payload ~length ~segment_size:_ ->
              if Cstruct.lenv payload <> length then Invariants.failf "length";
              let w = Lazy.force w in
              say w "  sent %s length %d (%d ms)" (Fmt.str "%a" Wire.pp h) length (w.now / ms);
              w.last_sent <- Some h);
        connections = [];
        full = false;
        edges = Hashtbl.create 8;
        verbose;
        last_sent = None;
      }
  in
  let w = Lazy.force w in
  ignore
    (Engine.listen w.engine ~port:80 (fun c -> w.connections <- c :: w.connections)
      : (unit, _) result);
  for _ = 1 to steps do
    (match int w 10 with
    | 0 | 1 | 2 -> segment w
    | 3 | 4 | 5 -> polite w
    | 6 | 7 | 8 -> user w
    | _ -> pass_time w);
    check w;
    if chance w 2 then (
      Engine.flush w.engine ~now:w.now;
      check w;
      if not w.full then Invariants.end_of_turn w.engine)
  done;
  (* Without a user and without a peer everything ends. *)
  w.full <- false;
  Engine.resume w.engine;
  List.iter (fun c -> Engine.close w.engine ~now:w.now c) w.connections;
  let rec finish n =
    Engine.flush w.engine ~now:w.now;
    let next = Engine.next w.engine in
    if next < max_int then (
      if n = 0 then Invariants.failf "does not come to an end";
      w.now <- max (w.now + 1) next;
      Engine.advance w.engine ~now:w.now;
      finish (n - 1))
  in
  finish 100_000;
  List.iter (fun c -> Engine.close w.engine ~now:w.now c) w.connections;
  if Engine.connections w.engine <> 0 then
    Invariants.failf "%d connections are left" (Engine.connections w.engine);
  if Engine.memory w.engine <> 0 then Invariants.failf "memory %d is left" (Engine.memory w.engine);
  if Engine.timers w.engine <> 0 then Invariants.failf "timers are left"
