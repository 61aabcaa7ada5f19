(* A server with few places, at which hosts of many networks arrive. *)

open Mirust_tcp
module Wire = Mirust_wire.Tcp

let ms = 1_000_000
let server_ip = Ipaddr.of_string_exn "10.0.0.1"
let port = 80
let check_int = Alcotest.check Alcotest.int
let check_bool = Alcotest.check Alcotest.bool

let segment ~src_port ~flags ~seq ~ack ~window =
  {
    Wire.src_port;
    dst_port = port;
    seq;
    ack;
    flags;
    window;
    urgent = 0;
    options =
      (if Wire.Flags.(has flags syn) then { Wire.no_options with mss = 1460 } else Wire.no_options);
    header_length = 20;
  }

let places = 64

(* The hosts of a network, by number. *)
let of_v4 network n = Ipaddr.of_string_exn (Printf.sprintf "%s.%d" network n)
let of_v6 network n = Ipaddr.of_string_exn (Printf.sprintf "%s:%x::1" network n)
let host = of_v4 "192.0.2"

(* A server, its clock, and the last segment that it sent. *)
type server = { engine : Engine.t; mutable time : int; sent : Wire.t option ref }

let server ?(places = places) ?(memory = 1_000_000) ?(accept = ignore) () =
  let rng = Random.State.make [| 5 |] and sent = ref None in
  let engine =
    Engine.create
      ~config:{ Engine.default_config with connections_max = places; memory_max = memory }
      ~now:0
      ~random:(fun n -> String.init n (fun _ -> Char.chr (Random.State.int rng 256)))
      ~mss:(fun ~dst:_ -> 1460)
      ~can_send:(fun () -> true)
      (fun ~src:_ ~dst:_ ~ect:_ h _ ~length:_ ~segment_size:_ -> sent := Some h)
  in
  (match Engine.listen engine ~port accept with
  | Ok () -> ()
  | Error (`In_use | `Invalid) -> assert false);
  { engine; time = 0; sent }

let local_of = function
  | Ipaddr.V4 _ -> server_ip
  | Ipaddr.V6 _ -> Ipaddr.of_string_exn "2001:db8::1"

(* A segment arrives at the server. *)
let arrives w src h payload =
  w.sent := None;
  Engine.input w.engine ~now:w.time ~src ~dst:(local_of src) ~ce:false h payload;
  Engine.flush w.engine ~now:w.time

let is_in w src src_port =
  match Engine.lookup w.engine ~local:(local_of src, port) ~remote:(src, src_port) with
  | Some c -> Engine.state c = Established
  | None -> false

(* Connects and sends an octet. Whether it got in. *)
let comes w src src_port =
  arrives w src (segment ~src_port ~flags:Wire.Flags.syn ~seq:1 ~ack:0 ~window:1000) Cstruct.empty;
  match !(w.sent) with
  | Some h when Wire.Flags.(has h.flags syn) ->
      let flags = Wire.Flags.(ack lor psh) and ack = Seq.add h.seq 1 in
      arrives w src (segment ~src_port ~flags ~seq:2 ~ack ~window:1000) (Cstruct.create 1);
      is_in w src src_port
  | Some _ | None -> false

(* How many of this many got in, the last ones at the expense of those before them, maybe. *)
let come w ?(from = 1000) src n =
  for i = 1 to n do
    ignore (comes w src (from + i) : bool);
    w.time <- w.time + ms
  done;
  List.length (List.filter (fun i -> is_in w src (from + i)) (List.init n succ))

(* So many milliseconds pass. *)
let pass w ms_ =
  w.time <- w.time + (ms_ * ms);
  Engine.advance w.engine ~now:w.time;
  Engine.flush w.engine ~now:w.time

(* The memory of a server some of whose visitors hold too much. *)
let memory = 300_000

(* Wherever memory ends while one is to give way: who has gone is told, and who has not may have to go another time. *)
let without_memory prepare act () =
  let rec failures nth =
    let all = ref [] and log = ref [] in
    let accept c =
      let told = ref false in
      Engine.on_event c (function
        | Ended _ ->
            log := () :: !log;
            told := true
        | Connected | Readable | Writable -> ());
      all := (c, told) :: !all
    in
    let w = server ~places:40 ~memory ~accept () in
    prepare w all;
    let before = !all in
    check_int "nobody had to go" 0 (Engine.stats w.engine).evicted;
    let failed = Shortage.fails_at nth (fun () -> act w) in
    let gone = List.filter (fun (c, _) -> Engine.ended c) before in
    List.iter (fun (_, told) -> check_bool "is told" true !told) gone;
    if not failed then check_int "one had to go" 1 (List.length gone);
    (* Each is looked at, and then again when his patience is exhausted. *)
    for _ = 1 to 2 do
      w.time <- w.time + (20_000 * ms);
      Engine.advance w.engine ~now:w.time;
      for _ = 1 to 3 do
        Engine.set_bounds w.engine ~memory ~connections:0 ~time_wait:10
      done
    done;
    check_int "all have to go" 0 (Engine.connections w.engine);
    check_int "memory" 0 (Engine.memory w.engine);
    if failed then 1 + failures (nth + 1) else 0
  in
  let n = failures 1 in
  check_bool "failures" true (n > 10)
