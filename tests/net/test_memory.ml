(* Memory runs out at any allocation of a stack, or of a service on it, as it does where the collector's reserve is
   used up: `Out_of_memory` is raised there as by a signal. That costs what was at hand. The stack goes on, forgets
   nothing that is due, and holds nothing for ever. *)

open Mirust_net_env
open Mirust_netif
open Mirust_net_mock
open Mirust_stack
open Mirust_tcpip
open Lwt.Infix
module Engine = Mirust_tcp.Engine
module TCP = Stack.TCP

let check_bool = Alcotest.(check bool)
let check_int = Alcotest.(check int)
let mac n = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n))
let ip n = Ipaddr.V4 (Ipaddr.V4.make 10 0 0 n)

(* {1 Running out} *)

(* One of the two stacks is short of memory: whether what runs now is its own. What it asks to be called later is,
   too, and what the network does for it is not. *)
let is_short = ref false

let be short f =
  let before = !is_short in
  (* Nothing is allocated outside of [f]. *)
  match
    is_short := short;
    f ()
  with
  | result ->
      is_short := before;
      result
  | exception e ->
      is_short := before;
      raise e

let later f =
  let short = !is_short in
  fun x -> be short (fun () -> f x)

(* As the loop of an image runs what it runs. *)
let times = ref 0

let attempt f =
  match f () with
  | () -> true
  | exception Out_of_memory ->
      incr times;
      false

let run f = ignore (attempt f : bool)

let environment mock =
  let random = Random.State.make [| 1 |] in
  {
    Env.now = (fun () -> Mock.now mock);
    random = (fun n -> String.init n (fun _ -> Char.chr (Random.State.int random 256)));
    sleep =
      (fun ns ->
        let promise, resolver = Lwt.wait () in
        let wake = later (fun () -> Lwt.wakeup resolver ()) in
        Lwt.on_success (Mock.sleep mock ns) (fun () -> run wake);
        promise);
  }

let soon f =
  let f = later f in
  be false (fun () -> Lwt.on_success (Lwt.pause ()) (fun () -> run f))

let short_device (device : Device.t) =
  {
    device with
    reserve = (fun n -> be false (fun () -> device.reserve n));
    send = (fun frame -> be false (fun () -> device.send frame));
    flush = (fun () -> be false device.flush);
    on_receive =
      (fun f -> device.on_receive (fun frames -> run (fun () -> be true (fun () -> f frames))));
    on_room = (fun f -> device.on_room (fun () -> run (fun () -> be true f)));
  }

let with_shortage rate f =
  let fail _ = if !is_short then raise Out_of_memory else None in
  let tracker = { Gc.Memprof.null_tracker with alloc_minor = fail; alloc_major = fail } in
  let profile = Gc.Memprof.start ~sampling_rate:rate ~callstack_size:0 tracker in
  f () >|= fun () ->
  Gc.Memprof.stop ();
  Gc.Memprof.discard profile

(* {1 A service, and who uses it} *)

let serve flow =
  let rec echo () =
    TCP.read flow >>= function
    | Ok (`Data b) -> (
        TCP.write flow b >>= function Ok () -> echo () | Error _ -> TCP.close flow)
    | Ok `Eof | Error _ -> TCP.close flow
  in
  echo ()

let data = String.init 60_000 (fun i -> Char.chr (((i * 31) + (i lsr 8)) land 0xff))

type outcome = Served | Failed | Stuck

let client stack dst =
  let served =
    TCP.create_connection (Stack.tcp stack) (dst, 7) >>= function
    | Error _ -> Lwt.return Failed
    | Ok flow ->
        let received = Buffer.create (String.length data) in
        let rec collect () =
          TCP.read flow >>= function
          | Ok (`Data b) ->
              Buffer.add_string received (Cstruct.to_string b);
              collect ()
          | Ok `Eof | Error _ -> Lwt.return_unit
        in
        let send = TCP.write flow (Cstruct.of_string data) >>= fun _ -> TCP.shutdown flow `write in
        Lwt.join [ collect (); send ] >>= fun () ->
        TCP.close flow >|= fun () ->
        if String.equal (Buffer.contents received) data then Served else Failed
  in
  Lwt.pick [ served; (Env.sleep (Env.sec 3600) >|= fun () -> Stuck) ]

let stack ?(wrap = Fun.id) network n =
  let cidr = Ipaddr.V4.Prefix.make 24 (Ipaddr.V4.make 10 0 0 n) in
  let device = wrap (Network.attach ~ring:1000 network (mac n)) in
  Stack.connect { Stack.default with ipv4 = `Static { cidr; gateway = None } } device

let anywhere () =
  let mock = Mock.install () in
  Env.install (environment mock);
  Env.install_attempt attempt;
  Env.install_soon soon;
  let network = Network.create () in
  Mock.run ~limit:(Env.sec 100_000_000) mock
    ( be true (fun () -> stack ~wrap:short_device network 1) >>= fun server ->
      (* What follows is not the server's. *)
      Lwt.pause () >>= fun () ->
      stack network 2 >>= fun other ->
      TCP.listen (Stack.tcp server) ~port:7 serve;
      let tally = Hashtbl.create 3 in
      let rec clients n =
        if n = 0 then Lwt.return_unit
        else
          client other (ip 1) >>= fun outcome ->
          Hashtbl.replace tally outcome
            (1 + Option.value (Hashtbl.find_opt tally outcome) ~default:0);
          clients (n - 1)
      in
      let of_them outcome = Option.value (Hashtbl.find_opt tally outcome) ~default:0 in
      with_shortage 5e-5 (fun () -> clients 300) >>= fun () ->
      Printf.printf "%d times: %d served, %d failed, %d stuck\n%!" !times (of_them Served)
        (of_them Failed) (of_them Stuck);
      check_bool "it ran out" true (!times > 10);
      (* Where it runs out again while that is dealt with, or in the middle of Lwt, a service may lose its thread. *)
      check_bool "stuck" true (of_them Stuck <= 3);
      Hashtbl.reset tally;
      clients 20 >>= fun () ->
      check_int "served afterwards" 20 (of_them Served);
      Env.sleep (Env.sec 86_000) >|= fun () ->
      let engine = TCP.engine (Stack.tcp server) in
      check_bool "connections" true (Engine.connections engine <= 3);
      let held = ref 0 in
      Engine.iter engine (fun c -> held := !held + Engine.held c);
      check_int "memory" !held (Engine.memory engine) )

(* As the loop of an image does: Lwt may have been left in the middle of its callbacks. *)
let rec repair () =
  let promise, resolver = Lwt.wait () in
  let woken = ref false in
  Lwt.on_success promise (fun () -> woken := true);
  Lwt.wakeup_later resolver ();
  if not !woken then (
    Lwt.abandon_wakeups ();
    repair ())

(* What others provoke and nobody waits for: an answer is lost, and not the program. *)
let pings () =
  let mock = Mock.install () in
  Env.install (environment mock);
  Env.install_attempt attempt;
  Env.install_soon soon;
  times := 0;
  let ended = ref 0 in
  (* As in an image. *)
  (Lwt.async_exception_hook := function Out_of_memory -> incr times | _ -> incr ended);
  let network = Network.create () in
  let run promise = Mock.run ~limit:(Env.sec 1_000_000) mock promise in
  ignore (run (be true (fun () -> stack ~wrap:short_device network 1)) : Stack.t);
  let other = run (stack network 2) in
  let payload = Cstruct.create 1000 in
  let rec ping n answered =
    if n = 0 then Lwt.return answered
    else
      Stack.ICMP.ping (Stack.icmp other) ~payload (Ipaddr.V4.make 10 0 0 1) >>= fun r ->
      ping (n - 1) (answered + Bool.to_int (Result.is_ok r))
  in
  (* Memory may have run out there in the case before. *)
  repair ();
  check_int "answered before" 20 (run (ping 20 0));
  let lost = ref 0 in
  run (with_shortage 1e-2 (fun () -> ping 300 0 >|= fun answered -> lost := 300 - answered));
  check_bool "some are lost" true (!lost > 10);
  check_int "nothing ends" 0 !ended;
  repair ();
  check_int "answered afterwards" 20 (run (ping 20 0))

(* {1 What waits for a neighbour, or for the device} *)

let no_link =
  {
    Link.mac = mac 1;
    mtu = (fun () -> 1500);
    features = (fun () -> Device.no_features);
    header = 14;
    reserve = (fun _ -> Cstruct.empty);
    send = (fun _ _ _ _ ~checksum_start:_ ~checksum_offset:_ ~gso_size:_ -> `Full);
    write = (fun _ _ ~size:_ _ -> Lwt.return_ok ());
    on_room = ignore;
    join = ignore;
    leave = ignore;
    flush = ignore;
  }

(* Wherever memory ends, nothing is on the two accounts when nothing waits any more. How often it ended. *)
let rec failures ~asks nth =
  let out = Outgoing.create no_link `IPv4 ~header:20 in
  let answered, answer = Lwt.wait () and written, write = Lwt.wait () in
  let query = if asks then answered else Lwt.return_ok (mac 2) in
  let send () =
    let sent = Outgoing.with_mac out query ~pp:Ipaddr.pp ~octets:1000 (ip 2) (fun _ -> written) in
    Lwt.on_any sent ignore ignore
  in
  let failed = Shortage.fails_at nth send in
  Lwt.wakeup answer (Ok (mac 2));
  Lwt.wakeup write (Ok ());
  check_int "for the neighbour" 0 out.asking.octets;
  check_int "for the device" 0 out.queued.octets;
  if failed then 1 + failures ~asks (nth + 1) else 0

let accounts () =
  check_bool "asking" true (failures ~asks:true 1 > 3);
  check_bool "queued" true (failures ~asks:false 1 > 3)

(* Wherever memory ends while packets to ourselves are sent and delivered, one of them may be lost, and the next ones
   arrive. *)
let own () =
  let calls = Queue.create () in
  let turns () =
    while not (Queue.is_empty calls) do
      (Queue.pop calls) ()
    done
  in
  let rec failures nth =
    let out = Outgoing.create no_link `IPv4 ~header:20 and arrived = ref 0 and seen = ref [] in
    out.loopback <-
      Some
        (fun _ ->
          (* So that memory may run out here, too. *)
          seen := !arrived :: !seen;
          incr arrived);
    let send n =
      for _ = 1 to n do
        ignore (Outgoing.send_to_own out ~size:20 ignore [])
      done
    in
    Queue.clear calls;
    let sent = ref 0 in
    let failed =
      Shortage.fails_at nth (fun () ->
          for _ = 1 to 5 do
            send 1;
            incr sent
          done;
          turns ())
    in
    turns ();
    (* Those for which there was no memory to remember that they are to be delivered wait for the next one. *)
    send 1;
    turns ();
    if !arrived < !sent then
      Alcotest.failf "memory ends at allocation %d: %d of %d arrive" nth !arrived (!sent + 1);
    check_int "nothing is left" 0 (Queue.length out.own);
    check_int "no octet" 0 out.own_octets;
    let before = !arrived in
    send 3;
    turns ();
    check_int "later" 3 (!arrived - before);
    if failed then 1 + failures (nth + 1) else 0
  in
  Env.install_soon (fun f -> Queue.push f calls);
  let n = failures 1 in
  check_bool "failures" true (n > 20)

let () =
  Alcotest.run "memory"
    [
      ( "out of memory",
        [
          Alcotest.test_case "anywhere" `Quick anywhere;
          Alcotest.test_case "pings" `Quick pings;
          Alcotest.test_case "accounts" `Quick accounts;
          (* Last: it keeps the turns for itself. *)
          Alcotest.test_case "packets to ourselves" `Quick own;
        ] );
    ]
