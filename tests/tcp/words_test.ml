(* Words of OCaml's heap that a segment takes on its way through two whole stacks: Ethernet, IP, TCP and Lwt,
   on a network in memory, whose own words are among them. What is counted does not depend on the machine. *)

open Mirust_net_env
open Mirust_net_mock
open Mirust_stack
open Stacks
open Lwt.Infix
module TCP = Stack.TCP
module Engine = Mirust_tcp.Engine

let port = 7

let rec turns mock promise =
  match Lwt.state promise with
  | Lwt.Return v -> v
  | Lwt.Fail e -> raise e
  | Lwt.Sleep ->
      if Queue.is_empty next_turn && Lwt.paused_count () = 0 then Mock.advance mock (Env.ms 1)
      else turn mock;
      turns mock promise

let connected mock =
  let network = Network.create () in
  let opened =
    stack network 1 >>= fun a ->
    stack network 2 >>= fun b ->
    let a = Stack.tcp a and b = Stack.tcp b in
    let accepted, accept = Lwt.wait () in
    TCP.listen b ~port (fun flow ->
        Lwt.wakeup_later accept flow;
        Lwt.return_unit);
    let rec serve flow =
      TCP.read flow >>= function Ok (`Data _) -> serve flow | Ok `Eof | Error _ -> TCP.close flow
    in
    TCP.listen b ~port:(port + 1) serve;
    TCP.create_connection a (Ipaddr.of_string_exn "10.0.0.2", port) >>= fun client ->
    accepted >|= fun server -> (a, b, ok TCP.pp_error client, server)
  in
  turns mock opened

let segments a b =
  (Engine.stats (TCP.engine a)).segments_out + (Engine.stats (TCP.engine b)).segments_out

type counts = { words : float; promoted : float (* to the major heap, of these *) }

let counts () = { words = Gc.minor_words (); promoted = (Gc.quick_stat ()).promoted_words }

(* [work stack server client n] is a promise of [n] rounds. The first ones, in which windows grow, do not count. *)
let per_segment work =
  let mock = install () in
  let a, b, client, server = connected mock in
  let round n =
    (* What the stacks themselves are made of is promoted here. *)
    Gc.minor ();
    let start = counts () and before = segments a b in
    turns mock (work a server client n);
    let stop = counts () and sent = float (segments a b - before) in
    {
      words = (stop.words -. start.words) /. sent;
      promoted = (stop.promoted -. start.promoted) /. sent;
    }
  in
  ignore (round 100 : counts);
  round 1000

let rec times n f = if n = 0 then Lwt.return_unit else f () >>= fun () -> times (n - 1) f

let read flow =
  TCP.read flow >|= function Ok (`Data b) -> b | Ok `Eof | Error _ -> Alcotest.fail "the end"

let write flow b = TCP.write flow b >|= ok TCP.pp_write_error

let one_byte_and_back _ server client n =
  let byte = Cstruct.of_string "x" in
  let serve () = read server >>= write server in
  let ask () = write client byte >>= fun () -> read client >|= ignore in
  Lwt.join [ times n serve; times n ask ]

let bulk _ server client n =
  let chunk = Cstruct.create 65536 in
  let rec take left =
    if left > 0 then read server >>= fun b -> take (left - Cstruct.length b) else Lwt.return_unit
  in
  Lwt.join [ times n (fun () -> write client chunk); take (n * Cstruct.length chunk) ]

(* What is promoted is what is left of them in TIME-WAIT. *)
let connect_and_close stack _ _ n =
  times n (fun () ->
      TCP.create_connection stack (Ipaddr.of_string_exn "10.0.0.2", port + 1)
      >|= ok TCP.pp_error >>= TCP.close)

let at_most ~words ~promoted work () =
  let per = per_segment work in
  if per.words > words || per.promoted > promoted then
    Alcotest.failf "%.1f words, %.2f of them promoted" per.words per.promoted

let () =
  let case name ~words ~promoted work =
    Alcotest.test_case name `Quick (at_most ~words ~promoted work)
  in
  Alcotest.run "words"
    [
      ( "for a segment",
        [
          case "bulk" ~words:120. ~promoted:2. bulk;
          case "one byte and back" ~words:300. ~promoted:1. one_byte_and_back;
          case "connect and close" ~words:500. ~promoted:20. connect_and_close;
        ] );
    ]
