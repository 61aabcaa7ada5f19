(* A sender that only the processor limits: it has more to send after each turn, so that one turn follows the other and
   nobody ever waits for the clock. The rest of the stack lives on. *)

open Mirust_net_env
open Mirust_net_mock
open Mirust_stack
open Stacks
open Lwt.Infix
module TCP = Stack.TCP
module Engine = Mirust_tcp.Engine

let port = 7

(* Each turn takes a millisecond. *)
let turn mock =
  turn mock;
  Mock.advance mock (Env.ms 1)

let rec turns mock promise =
  match Lwt.state promise with
  | Lwt.Return v -> v
  | Lwt.Fail e -> raise e
  | Lwt.Sleep ->
      turn mock;
      turns mock promise

let rec discard flow =
  TCP.read flow >>= function Ok (`Data _) -> discard flow | Ok `Eof | Error _ -> TCP.close flow

let rec write chunk flow =
  TCP.write flow chunk >>= function Ok () -> write chunk flow | Error _ -> Lwt.return_unit

let connect a = TCP.create_connection a (Ipaddr.of_string_exn "10.0.0.2", port) >|= ok TCP.pp_error

let timers_fire () =
  let mock = install () in
  let network = Network.create () in
  let opened =
    stack network 1 >>= fun a ->
    stack network 2 >>= fun b ->
    let a = Stack.tcp a in
    TCP.listen (Stack.tcp b) ~port discard;
    connect a >>= fun idle ->
    TCP.set_keepalive idle (Some { after = 100_000_000L; interval = 100_000_000L; probes = 3 });
    connect a >|= fun busy -> (TCP.engine a, busy)
  in
  let engine, busy = turns mock opened in
  Lwt.async (fun () -> write (Cstruct.create 65536) busy);
  let busy_turns = ref 0 in
  for _ = 1 to 1000 do
    turn mock;
    if Engine.has_more engine then incr busy_turns
  done;
  if !busy_turns < 900 then Alcotest.failf "the sender had more in %d of 1000 turns" !busy_turns;
  let probes = (Engine.stats engine).keepalives_sent in
  if probes < 7 then Alcotest.failf "%d probes in a second, one each tenth of it" probes

let () =
  Alcotest.run "busy"
    [ ("timers", [ Alcotest.test_case "fire beside a busy sender" `Quick timers_fire ]) ]
