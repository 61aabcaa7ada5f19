open Lwt.Infix
open Lwt_result.Syntax
open Mirust
open Mirust_stack
module TCP = Stack.TCP

let port = 5201
let patience = Duration.of_sec 10
let max_text = 1 lsl 18

(* How long a test without a duration may last: the next client has to wait for it. *)
let longest = 600.

type stream = {
  id : int;
  flow : TCP.flow;
  sends : bool;
  mutable bytes : int;
  mutable retransmits : int; (* before the measured time *)
}

type test = {
  cookie : string;
  parameters : Protocol.parameters;
  mutable streams : stream list; (* the latest first *)
  complete : unit Lwt.t * unit Lwt.u; (* all streams are connected *)
}

(* The running test, or a client that has not said yet what it wants. *)
type state = Idle | Greeting | Testing of test

(* {1 Messages} *)

(* [rest] was received and not consumed yet. *)
type channel = { flow : TCP.flow; mutable rest : Cstruct.t }

let read channel length =
  let text = Buffer.create (min length 256) in
  let rec go () =
    let taken = min (length - Buffer.length text) (Cstruct.length channel.rest) in
    Buffer.add_string text (Cstruct.to_string ~len:taken channel.rest);
    channel.rest <- Cstruct.shift channel.rest taken;
    if Buffer.length text = length then Lwt_result.return (Buffer.contents text)
    else
      TCP.read channel.flow >>= function
      | Ok (`Data more) ->
          channel.rest <- more;
          go ()
      | Ok `Eof -> Lwt_result.fail "the client hung up"
      | Error e -> Lwt_result.fail (Fmt.to_to_string TCP.pp_error e)
  in
  go ()

let write flow text =
  TCP.write flow (Cstruct.of_string text)
  |> Lwt_result.map_error (Fmt.to_to_string TCP.pp_write_error)

let tell channel state = write channel.flow (String.make 1 (Protocol.byte_of_state state))

let number n =
  let text = Bytes.create 4 in
  Bytes.set_int32_be text 0 (Int32.of_int n);
  Bytes.to_string text

let read_json channel =
  let* length = read channel 4 in
  let length = Int32.to_int (String.get_int32_be length 0) land 0xffffffff in
  if length > max_text then Lwt_result.fail "a text too long"
  else
    let* text = read channel length in
    Lwt.return (Json.parse text)

let write_json channel json =
  let text = Json.to_string json in
  write channel.flow (number (String.length text) ^ text)

let in_time what f =
  Time.with_timeout patience f >|= function
  | Ok result -> result
  | Error `Timeout -> Error ("waited too long for " ^ what)

(* {1 Streams} *)

let rec receive (stream : stream) =
  TCP.read stream.flow >>= function
  | Ok (`Data data) ->
      stream.bytes <- stream.bytes + Cstruct.length data;
      receive stream
  | Ok `Eof | Error _ -> Lwt.return_unit

let seconds_since start = Int64.to_float (Int64.sub (Mclock.elapsed_ns ()) start) /. 1e9

(* Sends until the flow is closed. The block is never changed, so one serves for all streams. *)
let send (p : Protocol.parameters) block (stream : stream) =
  let start = Mclock.elapsed_ns () in
  let rec go sent =
    let ahead = if p.rate = 0. then 0. else (8. *. sent /. p.rate) -. seconds_since start in
    (if ahead > 0.001 then Time.ns (Int64.of_float (ahead *. 1e9)) else Lwt.return_unit)
    >>= fun () ->
    TCP.write stream.flow block >>= function
    | Ok () ->
        stream.bytes <- stream.bytes + p.block;
        go (sent +. float_of_int p.block)
    | Error _ -> Lwt.return_unit
  in
  go 0.

let run (p : Protocol.parameters) block (stream : stream) =
  if p.nodelay then TCP.set_nodelay stream.flow true;
  Lwt.async (fun () -> if stream.sends then send p (Lazy.force block) stream else receive stream)

let retransmits (stream : stream) = (TCP.info stream.flow).retransmits

(* Data sent or received up to now does not count. *)
let reset (stream : stream) =
  stream.bytes <- 0;
  stream.retransmits <- retransmits stream

let result (stream : stream) : Protocol.stream =
  let retransmits = if stream.sends then Some (retransmits stream - stream.retransmits) else None in
  { id = stream.id; bytes = stream.bytes; retransmits }

let join test flow =
  let p = test.parameters in
  let count = List.length test.streams in
  let sends = p.sends && not (p.receives && count < p.streams) in
  let id = Protocol.stream_id count in
  test.streams <- { id; flow; sends; bytes = 0; retransmits = 0 } :: test.streams;
  let expected = if p.receives && p.sends then 2 * p.streams else p.streams in
  if count + 1 = expected then Lwt.wakeup_later (snd test.complete) ()

let full test = Lwt.state (fst test.complete) = Lwt.Return ()

(* {1 Tests} *)

let report peer ~seconds results =
  List.iter
    (fun ({ id; bytes; retransmits } : Protocol.stream) ->
      let rate = 8e-6 *. float_of_int bytes /. Float.max seconds 1e-9 in
      Fmt.pr "%a: stream %d: %s %d bytes in %.1f s, %.1f Mbit/s%a@." Ipaddr.pp peer id
        (if retransmits = None then "received" else "sent")
        bytes seconds rate
        Fmt.(option (any ", " ++ int ++ any " retransmits"))
        retransmits)
    results

(* Runs until the client says that the time is over, then exchanges results. *)
let measure channel test =
  let p = test.parameters in
  let block = lazy (Cstruct.create p.block) in
  let limit = p.omit +. (if p.seconds > 0. then p.seconds else longest) +. 30. in
  let* () = tell channel Test_start in
  let* () = tell channel Test_running in
  let start = ref (Mclock.elapsed_ns ()) in
  List.iter (run p block) test.streams;
  let warm_up =
    if p.omit = 0. then Lwt.return_unit
    else
      Time.ns (Int64.of_float (p.omit *. 1e9)) >|= fun () ->
      List.iter reset test.streams;
      start := Mclock.elapsed_ns ()
  in
  let said () = Time.with_timeout (Int64.of_float (limit *. 1e9)) (fun () -> read channel 1) in
  said () >>= fun said ->
  Lwt.cancel warm_up;
  let* said =
    match said with
    | Ok said -> Lwt.return said
    | Error `Timeout -> Lwt_result.fail "the test does not end"
  in
  match Protocol.state_of_byte said.[0] with
  | Some Test_end ->
      let seconds = seconds_since !start in
      let results = List.rev_map result test.streams in
      let* () = tell channel Exchange_results in
      let* _theirs = in_time "results" (fun () -> read_json channel) in
      let* () = write_json channel (Protocol.results ~seconds results) in
      let* () = tell channel Display_results in
      report (fst (TCP.dst channel.flow)) ~seconds results;
      let* _done = in_time "the end" (fun () -> read channel 1) in
      Lwt_result.return ()
  | Some Client_terminate -> Lwt_result.fail "interrupted"
  | Some _ | None -> Lwt_result.fail "a byte out of order"

let refuse channel reason =
  let* () = tell channel Server_error in
  let* () = write channel.flow (number Protocol.not_implemented ^ number 0) in
  Lwt_result.fail reason

let control set_state channel cookie =
  let* () = tell channel Param_exchange in
  let* json = in_time "parameters" (fun () -> read_json channel) in
  match Protocol.parameters json with
  | Error reason -> refuse channel reason
  | Ok parameters ->
      let test = { cookie; parameters; streams = []; complete = Lwt.wait () } in
      set_state (Testing test);
      Lwt.finalize
        (fun () ->
          let* () = tell channel Create_streams in
          let all () = Lwt.map Result.ok (Lwt.protected (fst test.complete)) in
          let* () = in_time "streams" all in
          measure channel test)
        (fun () ->
          (* Data still in flight does not matter. *)
          List.iter (fun (s : stream) -> TCP.abort s.flow) test.streams;
          Lwt.return_unit)

(* Any client can provoke these: they are printed the first few times, and then each time their number has doubled. *)
let complaints = ref 0

let complain flow reason =
  incr complaints;
  let n = !complaints in
  if n <= 8 || n land (n - 1) = 0 then
    Fmt.pr "%a: %s (complaint %d)@." Ipaddr.pp (fst (TCP.dst flow)) reason n

let accept state flow =
  let channel = { flow; rest = Cstruct.empty } in
  in_time "a cookie" (fun () -> read channel Protocol.cookie_length) >>= fun cookie ->
  match (cookie, !state) with
  | Error _, _ -> TCP.close flow
  | Ok cookie, Testing test when cookie = test.cookie && not (full test) ->
      join test flow;
      Lwt.return_unit
  | Ok _, (Testing _ | Greeting) -> tell channel Access_denied >>= fun _ -> TCP.close flow
  | Ok cookie, Idle ->
      state := Greeting;
      TCP.set_nodelay flow true;
      Lwt.finalize
        (fun () ->
          control (fun s -> state := s) channel cookie >>= fun result ->
          (match result with Ok () -> () | Error reason -> complain flow reason);
          TCP.close flow)
        (fun () ->
          state := Idle;
          Lwt.return_unit)

(* A client that has vanished must not block others for long. *)
let keepalive =
  { Tcp.Keepalive.after = Duration.of_sec 10; interval = Duration.of_sec 2; probes = 5 }

let listen stack =
  let state = ref Idle in
  TCP.listen (Stack.tcp stack) ~port ~keepalive (accept state)
