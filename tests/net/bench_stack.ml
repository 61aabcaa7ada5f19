(* Two stacks in one process, on an Ethernet in memory: bulk transfer, one-byte echoes, connections.

   The first argument is a number of seconds for each; further ones choose from "bulk", "echo" and
   "connect" (default: all three), "offload" for devices that take large segments and blank checksums,
   and "reentrant" for a link without any delay. Times are processor times, so that others on the
   machine count little. *)

open Mirust_net_env
open Mirust_netif
open Mirust_net_mock
open Mirust_stack
open Lwt.Infix
module TCP = Stack.TCP

let seconds = try float_of_string Sys.argv.(1) with _ -> 2.
let offload = Array.mem "offload" Sys.argv
let reentrant = Array.mem "reentrant" Sys.argv

(* {1 The loop: a clock, sleepers, paused promises} *)

module Sleepers = Map.Make (Int)

let sleepers = ref Sleepers.empty
let start = Unix.gettimeofday ()
let now () = int_of_float ((Unix.gettimeofday () -. start) *. 1e9)

let sleep ns =
  let promise, resolver = Lwt.wait () in
  sleepers := Sleepers.add_to_list (now () + ns) resolver !sleepers;
  promise

let rec wake_due () =
  match Sleepers.min_binding_opt !sleepers with
  | Some (at, l) when at <= now () ->
      sleepers := Sleepers.remove at !sleepers;
      List.iter (fun u -> Lwt.wakeup u ()) l;
      wake_due ()
  | Some _ | None -> ()

let rec run promise =
  match Lwt.state promise with
  | Lwt.Return v -> v
  | Lwt.Fail e -> raise e
  | Lwt.Sleep ->
      Lwt.wakeup_paused ();
      wake_due ();
      run promise

(* {1 Measuring} *)

let chosen =
  match List.filter (fun s -> Array.mem s Sys.argv) [ "bulk"; "echo"; "connect" ] with
  | [] -> [ "bulk"; "echo"; "connect" ]
  | l -> l

let measured what unit f =
  if List.mem what chosen then (
    Gc.full_major ();
    let s0 = Gc.quick_stat () and t0 = Sys.time () in
    let n = f (t0 +. seconds) in
    let t = Sys.time () -. t0 and s1 = Gc.quick_stat () in
    let per x = x /. n in
    Printf.printf "%-8s %10.1f %s/s   per %s: %.1f ns, %.1f minor words, %.2f promoted\n%!" what
      (n /. t) unit unit
      (t /. n *. 1e9)
      (per (s1.minor_words -. s0.minor_words))
      (per (s1.promoted_words -. s0.promoted_words)))

let ok pp = function Ok v -> v | Error e -> failwith (Fmt.to_to_string pp e)
let until deadline = Sys.time () < deadline

let bulk a dst deadline =
  let chunk = Cstruct.create 65536 in
  let rec send flow =
    if until deadline then
      TCP.write flow chunk >>= function Ok () -> send flow | Error _ -> Lwt.return_unit
    else TCP.close flow
  in
  TCP.create_connection (Stack.tcp a) (dst, 9) >>= fun r -> send (ok TCP.pp_error r)

let rec discard count flow =
  TCP.read flow >>= function
  | Ok (`Data b) ->
      count := !count + Cstruct.length b;
      discard count flow
  | Ok `Eof | Error _ -> TCP.close flow

let rec echo flow =
  TCP.read flow >>= function
  | Ok (`Data b) -> TCP.write flow b >>= fun _ -> echo flow
  | Ok `Eof | Error _ -> TCP.close flow

let () =
  (* The buffers of the network in memory come and go by the gigabyte. At the default setting they would
     drive the major collector, whose heap is small, into hundreds of cycles in a second. A driver has
     a pool instead. *)
  Gc.set { (Gc.get ()) with custom_major_ratio = 500 };
  Env.install { now; sleep; random = (fun n -> String.init n (fun _ -> Char.chr (Random.int 256))) };
  let network = Network.create ~immediate:reentrant () in
  let features =
    if offload then { Device.checksum = true; tso4 = true; tso6 = true; max_gso = 65535 }
    else Device.no_features
  in
  let stack n =
    let cidr = Ipaddr.V4.Prefix.make 24 (Ipaddr.V4.make 10 0 0 n) in
    let mac = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n)) in
    Stack.connect
      { Stack.default with ipv4 = `Static { cidr; gateway = None } }
      (Network.attach ~features network mac)
  in
  let a = run (stack 1) and b = run (stack 2) in
  let dst = Ipaddr.V4 (Ipaddr.V4.make 10 0 0 2) in
  let count = ref 0 in
  TCP.listen (Stack.tcp b) ~port:9 (discard count);
  TCP.listen (Stack.tcp b) ~port:7 echo;
  measured "bulk" "MB" (fun deadline ->
      run (bulk a dst deadline);
      float !count /. 1e6);
  measured "echo" "request" (fun deadline ->
      let n = ref 0 in
      let byte = Cstruct.of_string "x" in
      run
        ( TCP.create_connection (Stack.tcp a) (dst, 7) >>= fun r ->
          let flow = ok TCP.pp_error r in
          TCP.set_nodelay flow true;
          let rec go () =
            if not (until deadline) then TCP.close flow
            else
              TCP.write flow byte >>= fun _ ->
              TCP.read flow >>= fun _ ->
              incr n;
              go ()
          in
          go () );
      float !n);
  measured "connect" "connection" (fun deadline ->
      let n = ref 0 in
      run
        (let rec go () =
           if not (until deadline) then Lwt.return_unit
           else
             TCP.create_connection (Stack.tcp a) (dst, 7) >>= function
             | Error _ -> Env.sleep (Env.ms 1) >>= go
             | Ok flow ->
                 TCP.close flow >>= fun () ->
                 incr n;
                 go ()
         in
         go ());
      float !n);
  let counters = Network.counters network in
  Printf.printf "frames sent %d, dropped %d\n" counters.sent counters.dropped
