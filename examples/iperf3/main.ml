(* An iperf3 server for TCP on port 5201: `iperf3 -c ADDRESS`, with -R the other way round, with -P several
   streams. One test at a time, as iperf3 itself has it. How to reach it: see examples/echo. *)

open Lwt.Infix
open Mirust_stack
module TCP = Stack.TCP

let network = Mirust_network.register ()
let port = 5201

(* {1 The protocol}

   On the control connection the client sends a cookie of 37 bytes, then both sides send states of one
   byte, and JSON texts after their length in four bytes. Each data connection begins with the cookie. *)

let cookie_length = 37
let test_start = 1
let test_running = 2
let test_end = 4
let param_exchange = 9
let create_streams = 10
let server_error = 0xfe (* -2 *)
let access_denied = 0xff (* -1 *)
let exchange_results = 13
let display_results = 14
let iperf_done = 16

exception Ended

(* Exactly [n] bytes; what came on top is kept for the next call. *)
type reader = { flow : TCP.flow; mutable rest : Cstruct.t }

let rec take r n =
  if Cstruct.length r.rest >= n then (
    let b = Cstruct.sub r.rest 0 n in
    r.rest <- Cstruct.shift r.rest n;
    Lwt.return b)
  else
    TCP.read r.flow >>= function
    | Ok (`Data b) ->
        r.rest <- Cstruct.append r.rest b;
        take r n
    | Ok `Eof | Error _ -> Lwt.fail Ended

let send flow b =
  TCP.write flow b >>= function Ok () -> Lwt.return_unit | Error _ -> Lwt.fail Ended

let send_state flow n = send flow (Cstruct.of_string (String.make 1 (Char.chr n)))

let send_json flow text =
  let b = Cstruct.create (4 + String.length text) in
  Cstruct.BE.set_uint32 b 0 (Int32.of_int (String.length text));
  Cstruct.blit_from_string text 0 b 4 (String.length text);
  send flow b

let read_json r =
  take r 4 >>= fun b ->
  let n = Int32.to_int (Cstruct.BE.get_uint32 b 0) in
  if n < 0 || n > 1_000_000 then Lwt.fail Ended else take r n >|= Cstruct.to_string

(* The few values that matter, without a JSON parser: the number, or [true], after ["name":]. *)
let value json name =
  let key = "\"" ^ name ^ "\":" in
  let rec find i =
    if i + String.length key > String.length json then None
    else if String.sub json i (String.length key) = key then Some (i + String.length key)
    else find (i + 1)
  in
  Option.map
    (fun from ->
      let rec stop i =
        if i < String.length json && json.[i] <> ',' && json.[i] <> '}' then stop (i + 1) else i
      in
      String.trim (String.sub json from (stop from - from)))
    (find 0)

let number json name ~default =
  match Option.bind (value json name) int_of_string_opt with Some n -> n | None -> default

let is_true json name = value json name = Some "true"

(* {1 A test} *)

type stream = { data : TCP.flow; mutable bytes : int }

type test = {
  cookie : string;
  wanted : int;
  mutable streams : stream list;
  all_here : unit Lwt.u;
  started : unit Lwt.t;
  reverse : bool;
  block : Cstruct.t;
}

let current : test option ref = ref None

let rec receive s =
  TCP.read s.data >>= function
  | Ok (`Data b) ->
      s.bytes <- s.bytes + Cstruct.length b;
      receive s
  | Ok `Eof | Error _ -> Lwt.return_unit

let rec transmit s block =
  TCP.write s.data block >>= function
  | Ok () ->
      s.bytes <- s.bytes + Cstruct.length block;
      transmit s block
  | Error _ -> Lwt.return_unit

let data_stream test r =
  let s = { data = r.flow; bytes = Cstruct.length r.rest } in
  test.streams <- test.streams @ [ s ];
  if List.length test.streams = test.wanted then Lwt.wakeup_later test.all_here ();
  test.started >>= fun () -> if test.reverse then transmit s test.block else receive s

let results test seconds =
  (* Streams are numbered 1, 3, 4, 5 and so on. *)
  let stream i s =
    Printf.sprintf
      {|{"id":%d,"bytes":%d,"retransmits":%d,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":%f}|}
      (if i = 0 then 1 else i + 2)
      s.bytes (TCP.info s.data).retransmits seconds
  in
  Printf.sprintf
    {|{"cpu_util_total":0,"cpu_util_user":0,"cpu_util_system":0,"sender_has_retransmits":%d,"streams":[%s]}|}
    (if test.reverse then 1 else 0)
    (String.concat "," (List.mapi stream test.streams))

let control cookie r =
  send_state r.flow param_exchange >>= fun () ->
  read_json r >>= fun params ->
  if is_true params "udp" then send_state r.flow server_error
  else
    let here, all_here = Lwt.wait () and started, start = Lwt.wait () in
    let test =
      {
        cookie;
        wanted = max 1 (number params "parallel" ~default:1);
        streams = [];
        all_here;
        started;
        reverse = is_true params "reverse";
        block = Cstruct.create (min (1 lsl 20) (max 1 (number params "len" ~default:131072)));
      }
    in
    current := Some test;
    send_state r.flow create_streams >>= fun () ->
    here >>= fun () ->
    send_state r.flow test_start >>= fun () ->
    send_state r.flow test_running >>= fun () ->
    let began = Mirust.Mclock.elapsed_ns () in
    Lwt.wakeup_later start ();
    take r 1 >>= fun state ->
    let seconds = Int64.to_float (Int64.sub (Mirust.Mclock.elapsed_ns ()) began) /. 1e9 in
    if Cstruct.get_uint8 state 0 <> test_end then Lwt.fail Ended
    else
      let text = results test seconds in
      let total = List.fold_left (fun n s -> n + s.bytes) 0 test.streams in
      Logs.app (fun m ->
          m "%s %d streams: %.1f MB in %.2f s, %.1f Mbit/s"
            (if test.reverse then "sent on" else "received on")
            test.wanted
            (float total /. 1e6)
            seconds
            (float total *. 8e-6 /. seconds));
      (* Nothing more is sent while the results are exchanged. *)
      if test.reverse then List.iter (fun s -> TCP.abort s.data) test.streams;
      send_state r.flow exchange_results >>= fun () ->
      read_json r >>= fun _ ->
      send_json r.flow text >>= fun () ->
      send_state r.flow display_results >>= fun () ->
      take r 1 >>= fun state ->
      if Cstruct.get_uint8 state 0 = iperf_done then Lwt.return_unit else Lwt.fail Ended

let finish () =
  match !current with
  | None -> Lwt.return_unit
  | Some test ->
      current := None;
      Lwt_list.iter_p (fun s -> TCP.close s.data) test.streams

let serve flow =
  let r = { flow; rest = Cstruct.empty } in
  Lwt.catch
    (fun () ->
      take r cookie_length >>= fun cookie ->
      let cookie = Cstruct.to_string cookie in
      match !current with
      | Some test when test.cookie = cookie -> data_stream test r
      | Some _ -> send_state flow access_denied
      | None -> Lwt.finalize (fun () -> control cookie r) finish)
    (function Ended -> Lwt.return_unit | e -> Lwt.reraise e)
  >>= fun () -> TCP.close flow

let start () =
  network () >>= fun stack ->
  TCP.listen (Stack.tcp stack) ~port serve;
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "iperf3 on port %d of %a" port
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  Lwt.pick [ Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ] >>= fun () ->
  Stack.disconnect stack

let () = Mirust.Main.run (start ())
