open Mirust_tcp
module Wire = Mirust_wire.Tcp
module Flags = Wire.Flags

type step = { line : int; text : string; after : float option; words : string list }
type case = { file : string; name : string; steps : step list }

let name c = c.name
let failf fmt = Printf.ksprintf failwith fmt

(* ---- Reading ---- *)

let words s = List.filter (fun w -> w <> "") (String.split_on_char ' ' s)
let without_comment s = match String.index_opt s '#' with Some i -> String.sub s 0 i | None -> s

let step line text =
  match words (without_comment text) with
  | [] -> None
  | first :: rest when first.[0] = '+' ->
      let after = float_of_string (String.sub first 1 (String.length first - 1)) in
      Some { line; text = String.trim text; after = Some after; words = rest }
  | words -> Some { line; text = String.trim text; after = None; words }

let parse ~file =
  let lines = In_channel.with_open_text file In_channel.input_lines in
  let add cases (line, text) =
    match (step line text, cases) with
    | None, _ -> cases
    | Some { words = "test" :: title; _ }, _ ->
        let name = String.concat " " title in
        if not (String.contains name '|') then failf "%s:%d: no clause" file line;
        { file; name; steps = [] } :: cases
    | Some _, [] -> failf "%s:%d: a step before the first test" file line
    | Some step, case :: rest -> { case with steps = step :: case.steps } :: rest
  in
  List.mapi (fun i text -> (i + 1, text)) lines
  |> List.fold_left add []
  |> List.rev_map (fun c -> { c with steps = List.rev c.steps })

(* ---- The world of one case ---- *)

let ms = 1_000_000
let of_ms x = int_of_float (x *. 1e6)
let local = Ipaddr.of_string_exn "192.0.2.1"
let remote = Ipaddr.of_string_exn "192.0.2.2"
let local_port = 80
let default_port = 5000

type sent = { at : int; header : Wire.t; payload : Cstruct.t; ect : bool }

type world = {
  mutable config : Engine.config;
  mutable now : int;
  mutable isn : int;
  mutable iss : int option; (* the wanted one *)
  mutable engine : Engine.t option;
  mutable conn : Engine.connection option;
  mutable written : int; (* the relative number of the next octet to be written *)
  mutable taken : int; (* and to be read *)
  sent : sent Queue.t;
  mutable events : string list;
  mutable device_full : bool;
  mutable link_mss : int;
  mutable confirmed : int; (* how often the engine has said that the path works *)
  numbers : (int, int) Hashtbl.t; (* the engine's initial sequence number, by the peer's port *)
  stamps : (int, int) Hashtbl.t; (* and timestamp *)
}

let initial_config =
  {
    Engine.default_config with
    timestamps = false;
    ecn = false;
    pacing = false;
    receive_buffer = 65535;
    receive_buffer_max = 65535;
  }

let octet n = Char.unsafe_chr (((n * 7) + (n lsr 8)) land 0xff)

let pattern ~from n =
  let c = Cstruct.create n in
  for i = 0 to n - 1 do
    Cstruct.set_char c i (octet (from + i))
  done;
  c

let transmit w ~src:_ ~dst:_ ~ect (h : Wire.t) payload ~length ~segment_size =
  let emit header payload = Queue.push { at = w.now; header; payload; ect } w.sent in
  let rec cut (h : Wire.t) payload =
    if segment_size = 0 || Cstruct.length payload <= segment_size then emit h payload
    else (
      emit
        { h with flags = h.flags land lnot Flags.(psh lor fin) }
        (Cstruct.sub payload 0 segment_size);
      let flags = h.flags land lnot Flags.cwr in
      cut { h with seq = Seq.add h.seq segment_size; flags } (Cstruct.shift payload segment_size))
  in
  let all = Cstruct.concat payload in
  if Cstruct.length all <> length then failf "length %d of %d octets" length (Cstruct.length all);
  if not (Hashtbl.mem w.numbers h.dst_port) then
    if Flags.has h.flags Flags.syn then Hashtbl.replace w.numbers h.dst_port h.seq;
  if h.options.ts_value >= 0 && not (Hashtbl.mem w.stamps h.dst_port) then
    Hashtbl.replace w.stamps h.dst_port h.options.ts_value;
  cut h all

let random_octets () =
  let rng = Random.State.make [| 42 |] in
  fun n -> String.init n (fun _ -> Char.chr (Random.State.int rng 256))

let create w =
  Engine.create ~config:w.config ~now:w.now ~random:(random_octets ())
    ~path_works:(fun ~src:_ ~dst:_ -> w.confirmed <- w.confirmed + 1)
    ~mss:(fun ~dst:_ -> w.link_mss)
    ~can_send:(fun () -> not w.device_full)
    (transmit w)

(* The initial sequence number is a function of the connection's name and the time: the time can be
   chosen so that it is the wanted one. *)
let time_for w wanted =
  let probe = { w with sent = Queue.create (); numbers = Hashtbl.create 1; iss = None } in
  let engine = create probe in
  (match
     Engine.connect engine ~now:w.now ~src_port:local_port ~src:local ~dst:remote
       ~dst_port:default_port ignore
   with
  | Ok _ -> ()
  | Error _ -> failwith "connect");
  let iss = Hashtbl.find probe.numbers default_port in
  w.now + ((wanted - iss) land 0xffff_ffff * 4000)

let engine w =
  match w.engine with
  | Some e -> e
  | None ->
      Option.iter (fun wanted -> w.now <- time_for w wanted) w.iss;
      let e = create w in
      w.engine <- Some e;
      e

let conn w = match w.conn with Some c -> c | None -> failwith "there is no connection"

let event_name : Engine.event -> string = function
  | Connected -> "connected"
  | Readable -> "readable"
  | Writable -> "writable"
  | Ended `Closed -> "closed"
  | Ended `Refused -> "refused"
  | Ended `Reset -> "reset"
  | Ended `Timeout -> "timeout"
  | Ended `No_route -> "no_route"
  | Ended `Aborted -> "aborted"

let check_int what expected got = if expected <> got then failf "%s is %d" what got
let event w e = w.events <- event_name e :: w.events

(* ---- Segments ---- *)

type segment = {
  flags : Flags.t;
  first : int;
  last : int;
  ack : int option;
  win : int option;
  options : Wire.options option;
  any_ts : bool * bool; (* value, echo: not compared *)
  ip_mark : bool;
  port : int;
}

let flag = function
  | 'S' -> Flags.syn
  | 'F' -> Flags.fin
  | 'R' -> Flags.rst
  | 'P' -> Flags.psh
  | 'A' -> Flags.ack
  | 'U' -> Flags.urg
  | 'E' -> Flags.ece
  | 'C' -> Flags.cwr
  | '-' -> 0
  | c -> failf "flag %c" c

let range s =
  match String.split_on_char ':' s with
  | [ a; b ] -> (int_of_string a, int_of_string b)
  | _ -> failf "range %s" s

let rec segment_words s = function
  | [] -> s
  | "ack" :: n :: rest -> segment_words { s with ack = Some (int_of_string n) } rest
  | "win" :: n :: rest -> segment_words { s with win = Some (int_of_string n) } rest
  | "port" :: n :: rest -> segment_words { s with port = int_of_string n } rest
  | ("ce" | "ect") :: rest -> segment_words { s with ip_mark = true } rest
  | "noopts" :: rest -> segment_words { s with options = Some Wire.no_options } rest
  | word :: rest -> (
      let o = Option.value s.options ~default:Wire.no_options in
      let set o = { s with options = Some o } in
      match (word, rest) with
      | "mss", n :: rest -> segment_words (set { o with mss = int_of_string n }) rest
      | "wscale", n :: rest -> segment_words (set { o with window_scale = int_of_string n }) rest
      | "sackok", rest -> segment_words (set { o with sack_permitted = true }) rest
      | "ts", value :: echo :: rest ->
          let number w = if w = "*" then 0 else int_of_string w in
          let s = set { o with ts_value = number value; ts_echo = number echo } in
          segment_words { s with any_ts = (value = "*", echo = "*") } rest
      | "sack", rest ->
          let rec blocks acc = function
            | w :: rest when String.contains w ':' -> blocks (range w :: acc) rest
            | rest -> (List.rev acc, rest)
          in
          let sack, rest = blocks [] rest in
          segment_words (set { o with sack }) rest
      | word, _ -> failf "unknown word %s" word)

let segment = function
  | flags :: numbers :: rest ->
      let first, last = range numbers in
      segment_words
        {
          flags = String.fold_left (fun acc c -> acc lor flag c) 0 flags;
          first;
          last;
          ack = None;
          win = None;
          options = None;
          any_ts = (false, false);
          ip_mark = false;
          port = default_port;
        }
        rest
  | _ -> failwith "a segment needs flags and a range"

let iss w port = Option.value (Hashtbl.find_opt w.numbers port) ~default:0
let stamp w port = Option.value (Hashtbl.find_opt w.stamps port) ~default:0

let input w s =
  let o = Option.value s.options ~default:Wire.no_options in
  let mask n = n land 0xffff_ffff in
  let options =
    {
      o with
      ts_echo = (if o.ts_value >= 0 then mask (o.ts_echo + stamp w s.port) else o.ts_echo);
      sack = List.map (fun (l, r) -> (mask (l + iss w s.port), mask (r + iss w s.port))) o.sack;
    }
  in
  let header =
    {
      Wire.src_port = s.port;
      dst_port = local_port;
      seq = mask (s.first + w.isn);
      ack = (match s.ack with Some n -> mask (n + iss w s.port) | None -> 0);
      flags = s.flags;
      window = Option.value s.win ~default:65535;
      urgent = 0;
      options;
      header_length = 20 + Wire.options_length options;
    }
  in
  Engine.input (engine w) ~now:w.now ~src:remote ~dst:local ~ce:s.ip_mark header
    (* The first octet comes after the SYN. *)
    (pattern ~from:(s.first + Bool.to_int (Flags.has s.flags Flags.syn)) (s.last - s.first))

(* ---- What came out ---- *)

let signed n = if n >= 0x8000_0000 then n - 0x1_0000_0000 else n
let relative w (s : sent) = signed ((s.header.seq - iss w s.header.dst_port) land 0xffff_ffff)
let relative_ack w (s : sent) = signed ((s.header.ack - w.isn) land 0xffff_ffff)

let relative_ts w (s : sent) =
  (s.header.options.ts_value - stamp w s.header.dst_port) land 0xffff_ffff

let show_flags f =
  let letters = "FSRPAUEC" in
  let shown =
    String.concat ""
      (List.filter_map
         (fun i -> if f land (1 lsl i) <> 0 then Some (String.make 1 letters.[i]) else None)
         [ 1; 0; 2; 3; 4; 5; 6; 7 ])
  in
  if shown = "" then "-" else shown

let show w (s : sent) =
  let h = s.header in
  let seq = relative w s in
  let b = Buffer.create 80 in
  let add fmt = Printf.bprintf b fmt in
  add "> %s %d:%d" (show_flags h.flags) seq (seq + Cstruct.length s.payload);
  if Flags.has h.flags Flags.ack then add " ack %d" (relative_ack w s);
  add " win %d" h.window;
  let o = h.options in
  if o.mss >= 0 then add " mss %d" o.mss;
  if o.sack_permitted then add " sackok";
  if o.ts_value >= 0 then add " ts %d %d" (relative_ts w s) o.ts_echo;
  if o.window_scale >= 0 then add " wscale %d" o.window_scale;
  if o.sack <> [] then add " sack";
  List.iter
    (fun (l, r) ->
      add " %d:%d" (signed ((l - w.isn) land 0xffff_ffff)) (signed ((r - w.isn) land 0xffff_ffff)))
    o.sack;
  if s.ect then add " ect";
  if h.dst_port <> default_port then add " port %d" h.dst_port;
  Buffer.contents b

let nothing_waits w =
  match Queue.peek_opt w.sent with
  | None -> ()
  | Some s -> failf "was sent, but not expected: %s" (show w s)

(* Lets time pass until [target], or until something was sent. *)
let rec run_until w target =
  let e = engine w in
  Engine.flush e ~now:w.now;
  if Queue.is_empty w.sent then
    let next = max w.now (Engine.next e) in
    if next <= target then (
      (* The wheel may wake us early, and then names the next time. *)
      w.now <- (if next = w.now then w.now + 1 else next);
      Engine.advance e ~now:w.now;
      run_until w target)
    else w.now <- max w.now target

(* Lets time pass until [target], whatever is sent. *)
let rec pass w target =
  Engine.flush (engine w) ~now:w.now;
  let next = max (w.now + 1) (Engine.next (engine w)) in
  if next <= target then (
    w.now <- next;
    Engine.advance (engine w) ~now:w.now;
    pass w target)
  else w.now <- target

let options_match w s (o : sent) =
  match s.options with
  | None -> true
  | Some expected ->
      let got = o.header.options in
      let any_value, any_echo = s.any_ts in
      let mask n = n land 0xffff_ffff in
      expected.mss = got.mss
      && expected.window_scale = got.window_scale
      && expected.sack_permitted = got.sack_permitted
      && List.map (fun (l, r) -> (mask (l + w.isn), mask (r + w.isn))) expected.sack = got.sack
      && expected.ts_value < 0 = (got.ts_value < 0)
      && (expected.ts_value < 0 || any_value || expected.ts_value = relative_ts w o)
      && (expected.ts_value < 0 || any_echo || expected.ts_echo = got.ts_echo)

let matches w s (o : sent) ~first ~last ~flags =
  let seq = relative w o in
  o.header.flags = flags && seq = first
  && seq + Cstruct.length o.payload = last
  && o.header.dst_port = s.port
  && (match s.ack with None -> true | Some n -> n = relative_ack w o)
  && (match s.win with None -> true | Some n -> n = o.header.window)
  && s.ip_mark = o.ect && options_match w s o

(* Timers of the wheel have a grain of a millisecond, and one may cascade. *)
let tolerance = 3 * ms

let take w ~deadline =
  if Queue.is_empty w.sent then run_until w (deadline + tolerance);
  match Queue.take_opt w.sent with
  | None -> failwith "nothing was sent"
  | Some o ->
      if o.at < deadline then
        failf "sent %.1f ms early: %s" (float (deadline - o.at) /. 1e6) (show w o);
      let seq = relative w o in
      if not (Cstruct.equal o.payload (pattern ~from:seq (Cstruct.length o.payload))) then
        failf "wrong payload: %s" (show w o);
      o

let rec expect w s ~deadline =
  let o = take w ~deadline in
  let mss = match w.conn with Some c -> (Engine.info c).mss | None -> max_int in
  let last = if s.last - s.first > mss then s.first + mss else s.last in
  let flags = if last < s.last then s.flags land lnot Flags.(psh lor fin) else s.flags in
  if not (matches w s o ~first:s.first ~last ~flags) then failf "was sent: %s" (show w o);
  if last < s.last then expect w { s with first = last } ~deadline

(* ---- Steps ---- *)

let algorithm = function "cubic" -> Cc.Cubic | "reno" -> Cc.New_reno | s -> failf "algorithm %s" s

let configure (c : Engine.config) word : Engine.config =
  let name, value =
    match String.split_on_char '=' word with
    | [ name ] -> (name, "")
    | [ name; value ] -> (name, value)
    | _ -> failf "config %s" word
  in
  let int () = int_of_string value in
  let time () = of_ms (float_of_string value) in
  match name with
  | "ts" -> { c with timestamps = true }
  | "ecn" -> { c with ecn = true }
  | "pacing" -> { c with pacing = true }
  | "nosack" -> { c with sack = false }
  | "algorithm" -> { c with algorithm = algorithm value }
  | "receive_buffer" ->
      { c with receive_buffer = int (); receive_buffer_max = max (int ()) c.receive_buffer_max }
  | "receive_buffer_max" -> { c with receive_buffer_max = int () }
  | "send_buffer" -> { c with send_buffer = int () }
  | "send_buffer_max" -> { c with send_buffer_max = int () }
  | "memory_max" -> { c with memory_max = int () }
  | "max_ranges" -> { c with max_ranges = int () }
  | "rto_min" -> { c with rto_min = time () }
  | "rto_max" -> { c with rto_max = time () }
  | "rto_initial" -> { c with rto_initial = time () }
  | "user_timeout" -> { c with user_timeout = time () }
  | "connect_timeout" -> { c with connect_timeout = time () }
  | "delayed_ack" -> { c with delayed_ack = time () }
  | "time_wait" -> { c with time_wait = time () }
  | "time_wait_max" -> { c with time_wait_max = int () }
  | "connections_max" -> { c with connections_max = int () }
  | "backlog" -> { c with backlog = int () }
  | name -> failf "config %s" name

let connect w =
  match
    Engine.connect (engine w) ~now:w.now ~src_port:local_port ~src:local ~dst:remote
      ~dst_port:default_port (event w)
  with
  | Ok c ->
      w.conn <- Some c;
      w.written <- 1
  | Error `No_port -> w.events <- "no_port" :: w.events
  | Error `No_memory -> w.events <- "no_memory" :: w.events
  | Error `Invalid -> w.events <- "invalid" :: w.events

let listen w backlog =
  let accept c =
    w.events <- "accepted" :: w.events;
    w.conn <- Some c;
    w.written <- 1;
    w.taken <- 1;
    Engine.on_event c (event w)
  in
  match Engine.listen (engine w) ~port:local_port ?backlog accept with
  | Ok () -> ()
  | Error `In_use -> w.events <- "in_use" :: w.events
  | Error `Invalid -> w.events <- "invalid" :: w.events

(* The handshake that most cases begin with. *)
let established w args =
  let rec value name default = function
    | word :: v :: _ when word = name -> v
    | _ :: rest -> value name default rest
    | [] -> default
  in
  let has name = List.mem name args in
  if has "ts" then w.config <- { w.config with timestamps = true };
  if has "ecn" then w.config <- { w.config with ecn = true };
  let options =
    Printf.sprintf "mss %s%s%s%s" (value "mss" "1000" args)
      (if has "nosack" then "" else " sackok")
      (match value "wscale" "" args with "" -> "" | n -> " wscale " ^ n)
      (if has "ts" then " ts 100 0" else "")
  in
  let ts = if has "ts" then " ts 100 0" else "" in
  let win = value "win" "65535" args in
  let send text = input w (segment (words text)) in
  if has "passive" then (
    listen w None;
    send (Printf.sprintf "%s 0:0 win %s %s" (if has "ecn" then "SEC" else "S") win options);
    ignore (take w ~deadline:w.now : sent);
    send (Printf.sprintf "A 1:1 ack 1 win %s%s" win ts))
  else (
    connect w;
    ignore (take w ~deadline:w.now : sent);
    run_until w (w.now + of_ms (float_of_string (value "rtt" "0" args)));
    send (Printf.sprintf "%s 0:0 ack 1 win %s %s" (if has "ecn" then "SAE" else "SA") win options);
    ignore (take w ~deadline:w.now : sent));
  Engine.flush (engine w) ~now:w.now;
  nothing_waits w;
  if Engine.state (conn w) <> Tcb.Established then failwith "is not established";
  w.events <- []

let read w n =
  let rec go octets =
    match Engine.read (engine w) (conn w) with
    | None -> octets
    | Some v ->
        let length = Cstruct.length v in
        if not (Cstruct.equal v (pattern ~from:w.taken length)) then
          failf "wrong octets were read at %d" w.taken;
        w.taken <- w.taken + length;
        go (octets + length)
  in
  check_int "what could be read" n (go 0)

let stat w name =
  let s = Engine.stats (engine w) in
  match name with
  | "segments_in" -> s.segments_in
  | "segments_out" -> s.segments_out
  | "resets_in" -> s.resets_in
  | "resets_out" -> s.resets_out
  | "retransmits" -> s.retransmits
  | "timeouts" -> s.timeouts
  | "tail_probes" -> s.tail_probes
  | "recoveries" -> s.recoveries
  | "undos" -> s.undos
  | "dsacks_in" -> s.dsacks_in
  | "challenge_acks" -> s.challenge_acks
  | "paws_drops" -> s.paws_drops
  | "out_of_window" -> s.out_of_window
  | "no_connection" -> s.no_connection
  | "listen_overflows" -> s.listen_overflows
  | "cookies_sent" -> s.cookies_sent
  | "cookies_ok" -> s.cookies_ok
  | "cookies_bad" -> s.cookies_bad
  | "memory_drops" -> s.memory_drops
  | "time_wait_dropped" -> s.time_wait_dropped
  | "keepalive_drops" -> s.keepalive_drops
  | "ecn_marks_in" -> s.ecn_marks_in
  | "octets_retransmitted" -> s.octets_retransmitted
  | "established_resets" -> s.established_resets
  | "given_up" -> s.given_up
  | "window_probes" -> s.window_probes
  | "keepalives_sent" -> s.keepalives_sent
  | "delayed_acks" -> s.delayed_acks
  | "duplicates_in" -> s.duplicates_in
  | "out_of_order_in" -> s.out_of_order_in
  | "evicted" -> s.evicted
  | "passive_opens" -> s.passive_opens
  | "failed_attempts" -> s.failed_attempts
  | name -> failf "stat %s" name

let info w name =
  let i = Engine.info (conn w) in
  match name with
  | "cwnd" -> i.cwnd
  | "ssthresh" -> i.ssthresh
  | "mss" -> i.mss
  | "rto" -> i.rto / ms
  | "rtt" -> i.rtt / ms
  | "in_flight" -> i.in_flight
  | "unsent" -> i.unsent
  | "path_mss" -> i.path_mss
  | "receive_mss" -> i.receive_mss
  | "send_window" -> i.send_window
  | "receive_window" -> i.receive_window
  | "retransmits" -> i.retransmits
  | "octets_sent" -> i.octets_sent
  | "octets_retransmitted" -> i.octets_retransmitted
  | "segments_in" -> i.segments_in
  | "segments_out" -> i.segments_out
  | "sacked" -> i.sacked
  | "unread" -> i.unread
  | "out_of_order" -> i.out_of_order
  | "recovering" -> Bool.to_int i.recovering
  | name -> failf "info %s" name

let unreachable = function
  | "port" -> `Port
  | "protocol" -> `Protocol
  | "network" -> `Network
  | "host" -> `Host
  | "prohibited" -> `Prohibited
  | s -> failf "unreachable %s" s

let state_name w = Fmt.str "%a" Tcb.pp_state (Engine.state (conn w))

let act w words =
  let now = w.now in
  match words with
  | "config" :: rest ->
      if w.engine <> None then failwith "too late for a configuration";
      w.config <- List.fold_left configure w.config rest
  | [ "isn"; n ] -> w.isn <- int_of_string n
  | [ "iss"; n ] -> w.iss <- Some (int_of_string n)
  | "<" :: rest -> input w (segment rest)
  | "flood" :: n :: "every" :: time :: "<" :: rest ->
      let s = segment rest and apart = of_ms (float_of_string time) in
      for _ = 1 to int_of_string n do
        input w s;
        Engine.flush (engine w) ~now:w.now;
        pass w (w.now + apart)
      done
  | [ "answers"; n ] ->
      check_int "answers" (int_of_string n) (Queue.length w.sent);
      Queue.clear w.sent
  | [ "connect" ] -> connect w
  | [ "listen" ] -> listen w None
  | [ "listen"; "backlog"; n ] -> listen w (Some (int_of_string n))
  | [ "unlisten" ] -> Engine.unlisten (engine w) ~port:local_port
  | "established" :: rest -> established w rest
  | [ "write"; n ] -> (
      let n = int_of_string n in
      match Engine.write (engine w) (conn w) (pattern ~from:w.written n) with
      | Ok () -> w.written <- w.written + n
      | Error `Closed -> w.events <- "write_closed" :: w.events)
  | [ "read"; n ] -> read w (int_of_string n)
  | [ "eof" ] -> if not (Engine.at_eof (conn w)) then failwith "is not at the end"
  | [ "shutdown" ] -> Engine.shutdown (engine w) ~now (conn w)
  | [ "close" ] -> Engine.close (engine w) ~now (conn w)
  | [ "abort" ] -> Engine.abort (engine w) (conn w)
  | [ "nodelay" ] -> Engine.set_nodelay (engine w) (conn w) true
  | [ "user_timeout"; n ] -> Engine.set_user_timeout (engine w) (conn w) (of_ms (float_of_string n))
  | [ "keepalive"; after; interval; probes ] ->
      let time s = of_ms (float_of_string s) in
      Engine.set_keepalive (engine w) ~now (conn w)
        (Some { after = time after; interval = time interval; probes = int_of_string probes })
  | [ "no_keepalive" ] -> Engine.set_keepalive (engine w) ~now (conn w) None
  | [ "device"; "full" ] -> w.device_full <- true
  | [ "device"; "room" ] ->
      w.device_full <- false;
      Engine.resume (engine w)
  | [ "link"; mtu ] ->
      w.link_mss <- int_of_string mtu - 40;
      Engine.link_changed (engine w) ~now
  | [ "icmp"; seq; mtu ] ->
      let seq = (int_of_string seq + iss w default_port) land 0xffff_ffff in
      let believed =
        Engine.packet_too_big (engine w) ~now ~src:local ~dst:remote ~src_port:local_port
          ~dst_port:default_port ~seq ~mtu:(int_of_string mtu)
      in
      w.events <- (if believed then "believed" else "disbelieved") :: w.events
  | [ "no_neighbour" ] ->
      ignore
        (Engine.no_neighbour (engine w) ~now ~src:local ~dst:remote ~src_port:local_port
           ~dst_port:default_port
          : bool)
  | [ "unreachable"; seq; problem ] ->
      let seq = (int_of_string seq + iss w default_port) land 0xffff_ffff in
      ignore
        (Engine.unreachable (engine w) ~now ~src:local ~dst:remote ~src_port:local_port
           ~dst_port:default_port ~seq (unreachable problem)
          : bool)
  | [ "state"; s ] -> if state_name w <> s then failf "state is %s" (state_name w)
  | "events" :: expected ->
      let got = List.rev w.events in
      w.events <- [];
      if got <> expected then failf "events are: %s" (String.concat " " got)
  | [ "stat"; name; n ] -> check_int name (int_of_string n) (stat w name)
  | [ "info"; name; n ] -> check_int name (int_of_string n) (info w name)
  | [ "memory"; n ] -> check_int "memory" (int_of_string n) (Engine.memory (engine w))
  | [ "space"; n ] -> check_int "space" (int_of_string n) (Engine.write_space (engine w) (conn w))
  | [ "confirmed"; n ] -> check_int "confirmed" (int_of_string n) w.confirmed
  | [ "connections"; n ] ->
      check_int "connections" (int_of_string n) (Engine.connections (engine w))
  | [ "gone" ] ->
      check_int "connections" 0 (Engine.connections (engine w));
      check_int "timers" 0 (Engine.timers (engine w));
      check_int "memory" 0 (Engine.memory (engine w))
  | [ "paused"; n ] -> w.now <- w.now + of_ms (float_of_string n)
  | [ "silence"; n ] -> pass w (w.now + of_ms (float_of_string n))
  | words -> failf "unknown step %s" (String.concat " " words)

(* Figures are of the end of a turn. *)
let looks = function
  | ( "answers" | "state" | "events" | "stat" | "info" | "memory" | "confirmed" | "gone"
    | "connections" )
    :: _ ->
      true
  | _ -> false

let do_step w s =
  let deadline = w.now + match s.after with Some x -> of_ms x | None -> 0 in
  match s.words with
  | ">" :: rest ->
      Engine.flush (engine w) ~now:w.now;
      expect w (segment rest) ~deadline
  | words ->
      if s.after <> None || words = [ "none" ] || looks words then (
        run_until w deadline;
        if not (looks words) then nothing_waits w);
      if words <> [ "none" ] then act w words

let world () =
  {
    config = initial_config;
    now = 1_000_000_000_000;
    isn = 1_000_000;
    iss = None;
    engine = None;
    conn = None;
    written = 1;
    taken = 1;
    sent = Queue.create ();
    events = [];
    device_full = false;
    link_mss = 1460;
    confirmed = 0;
    numbers = Hashtbl.create 4;
    stamps = Hashtbl.create 4;
  }

let run case =
  let w = world () in
  List.iter
    (fun s ->
      try do_step w s
      with e ->
        let reason = match e with Failure m -> m | e -> Printexc.to_string e in
        failf "%s:%d: %s\n  %s" case.file s.line s.text reason)
    case.steps;
  try
    run_until w w.now;
    nothing_waits w
  with Failure m -> failf "%s: at the end of %s: %s" case.file case.name m

type view = { next : int; una : int; nxt : int; peer_closed : bool }

let play steps last =
  let w = world () in
  let step text = Option.iter (do_step w) (step 0 text) in
  List.iter step steps;
  let found () =
    Engine.lookup (engine w) ~local:(local, local_port) ~remote:(remote, default_port)
  in
  let view =
    match found () with
    | None -> { next = 1; una = 0; nxt = 0; peer_closed = false }
    | Some c ->
        w.conn <- Some c;
        let t = Engine.tcb c and iss = iss w default_port in
        {
          next = signed ((t.rcv_nxt - w.isn) land 0xffff_ffff);
          una = t.snd_una - iss;
          nxt = t.snd_nxt - iss;
          peer_closed =
            (match t.state with
            | Close_wait | Closing | Last_ack | Time_wait -> true
            | Syn_sent | Syn_received | Established | Fin_wait_1 | Fin_wait_2 | Closed -> false);
        }
  in
  List.iter step (last view);
  Engine.flush (engine w) ~now:w.now;
  let sent =
    Queue.fold (fun flags s -> show_flags s.header.flags :: flags) [] w.sent
    |> List.sort_uniq compare
  in
  (Option.map Engine.state (found ()), sent)
