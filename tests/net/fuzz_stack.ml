(* Whole stacks under a rain of frames: random ones, damaged and truncated copies of real traffic, and real
   traffic in the wrong order. Nothing may raise; afterwards the stack must still answer.

   Arguments: a number of frames, a seed. *)

open Mirust_net_env
open Mirust_netif
open Mirust_net_mock
open Mirust_stack
open Lwt.Infix
module W = Mirust_wire

let frames = try int_of_string Sys.argv.(1) with _ -> 20_000
let seed = try int_of_string Sys.argv.(2) with _ -> 1
let rng = Random.State.make [| seed |]
let int n = Random.State.int rng n
let mac n = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n))
let v4 n = Ipaddr.V4.make 10 0 0 n
let link_local n = Mirust_net_engine.Ndp_engine.link_local (mac n)
let stack device ipv4 = Stack.attach { Stack.default with ipv4 } device
let static n = `Static { Stack.cidr = Ipaddr.V4.Prefix.make 24 (v4 n); gateway = Some (v4 9) }

(* {1 Real traffic, recorded} *)

let corpus : Cstruct.t array ref = ref [||]

let record network n =
  let device = Network.attach network (mac n) in
  let keep b = corpus := Array.append !corpus [| Cstruct.of_string (Cstruct.to_string b) |] in
  {
    device with
    send =
      (fun f ->
        keep (Gso.linear f);
        device.send f);
  }

let traffic () =
  let network = Network.create ~seed () in
  stack (record network 1) (static 1) >>= fun a ->
  stack (record network 2) (static 2) >>= fun b ->
  stack (record network 3) `Dhcp >>= fun _ ->
  Stack.TCP.listen (Stack.tcp b) ~port:7 (fun flow ->
      Stack.TCP.read flow >>= fun _ ->
      Stack.TCP.write flow (Cstruct.of_string "answer") >>= fun _ -> Stack.TCP.close flow);
  Env.sleep (Env.sec 2) >>= fun () ->
  let talk dst =
    Stack.TCP.create_connection (Stack.tcp a) (dst, 7) >>= function
    | Error _ -> failwith "no connection"
    | Ok flow ->
        Stack.TCP.write flow (Cstruct.of_string "question") >>= fun _ ->
        Stack.TCP.read flow >>= fun _ ->
        Stack.TCP.close flow >>= fun () ->
        Stack.UDP.write ~dst ~dst_port:9 (Stack.udp a) (Cstruct.create 3000) >|= ignore
  in
  talk (Ipaddr.V4 (v4 2)) >>= fun () ->
  talk (Ipaddr.V6 (link_local 2)) >>= fun () ->
  Stack.ICMP.ping (Stack.icmp a) (v4 2) >>= fun _ ->
  Mirust_tcpip.Ipv6_core.ping (Stack.ipv6 a) (link_local 2) >>= fun _ -> Env.sleep (Env.sec 5)

(* {1 The rain} *)

let random_frame () =
  let b = Cstruct.create (int 200) in
  for i = 0 to Cstruct.length b - 1 do
    Cstruct.set_uint8 b i (int 256)
  done;
  b

(* To the victim, station 2, whatever it was. Checksums of IPv4 headers are put right half of the time, so
   that damage gets deeper. *)
let retarget b =
  if Cstruct.length b >= 14 then (
    if int 4 > 0 then W.Field.set_mac b 0 (if int 4 = 0 then Macaddr.broadcast else mac 2);
    if Cstruct.length b >= 34 && W.Ethernet.get_ethertype b = 0x0800 && int 2 = 0 then (
      let ip = Cstruct.shift b 14 in
      if int 2 = 0 then W.Field.set_v4 ip 16 (v4 2);
      if int 2 = 0 then W.Ipv4.set_total_length ip (Cstruct.length ip);
      W.Ipv4.set_checksum ip ~header_length:20));
  b

let frame () =
  let b =
    match int 8 with
    | 0 -> random_frame ()
    | _ ->
        let b = !corpus.(int (Array.length !corpus)) in
        let b = Cstruct.of_string (Cstruct.to_string b) in
        for _ = 1 to int 4 do
          Cstruct.set_uint8 b (int (min 100 (Cstruct.length b))) (int 256)
        done;
        if int 4 = 0 then Cstruct.sub b 0 (int (Cstruct.length b + 1)) else b
  in
  let checksum = match int 3 with 0 -> `Valid | 1 -> `Blank | _ -> `Unknown in
  W.Packet.v ~checksum ~gso_size:(if int 10 = 0 then int 3000 else 0) (retarget b)

let () =
  let mock = Mock.install ~seed () in
  Mock.run mock (traffic ());
  let network = Network.create ~seed () in
  let device = Network.attach network (mac 2) in
  let receive = ref ignore in
  let tapped =
    {
      device with
      on_receive =
        (fun f ->
          receive := f;
          device.on_receive f);
    }
  in
  let victim = Mock.run mock (stack tapped (static 2)) in
  Stack.TCP.listen (Stack.tcp victim) ~port:7 (fun flow ->
      Stack.TCP.read flow >>= fun _ -> Stack.TCP.close flow);
  Stack.UDP.listen (Stack.udp victim) ~port:9 (fun ~src:_ ~dst:_ ~src_port:_ _ -> Lwt.return_unit);
  Mock.advance mock (Env.sec 2);
  let sent = ref 0 in
  while !sent < frames do
    let batch = List.init (1 + int 20) (fun _ -> frame ()) in
    sent := !sent + List.length batch;
    (try !receive batch
     with e ->
       Printf.printf "seed %d: %s after %d frames, one of:\n" seed (Printexc.to_string e) !sent;
       List.iter (fun (p : W.Packet.t) -> print_endline (Cstruct.to_hex_string p.data)) batch;
       exit 1);
    Mock.advance mock (int (Env.ms 100))
  done;
  (* Let go of what was learnt of the others, then see whether anyone is home. *)
  Mock.advance mock (Env.sec 600);
  let friend = Mock.run mock (stack (Network.attach network (mac 1)) (static 1)) in
  let echo = Mock.run mock (Stack.ICMP.ping (Stack.icmp friend) ~timeout:(Env.sec 5) (v4 2)) in
  if Result.is_error echo then (
    Printf.printf "seed %d: the stack does not answer any more\n" seed;
    exit 1);
  Printf.printf "%d frames, seed %d: ok\n" frames seed
