(* Addresses of ours: which of IPv6 are made, what becomes of duplicates, and who waits for one. *)

open Mirust_net_env
open Mirust_net_mock
open Mirust_stack
open Lwt.Infix
open Stranger

let early_connect () =
  let network = Network.create () in
  let start n =
    Stack.connect
      {
        config with
        ipv6_addresses = [ Ipaddr.V6.Prefix.make 64 (v6 (Printf.sprintf "fd00::%d" n)) ];
      }
      (Network.attach network (mac n))
  in
  start 2 >>= fun b ->
  Stack.TCP.listen (Stack.tcp b) ~port:7 echo;
  Stack.settled b >>= fun () ->
  start 1 >>= fun a ->
  let began = Env.now () in
  let connect dst = Stack.TCP.create_connection (Stack.tcp a) (ip dst, 7) in
  connect "fd00::2" >>= fun r ->
  check_bool "connected" true (Result.is_ok r);
  check_int "after duplicate detection" (Env.sec 1) (Env.now () - began);
  (* No router has answered by now; when it is clear that none will, there is no route. *)
  connect "2001:db8::1" >|= fun r ->
  check_bool "no route" true (match r with Error (`No_route _) -> true | Ok _ | Error _ -> false);
  check_bool "but not for ever" true (Env.now () - began < Env.sec 20)

let link_local s =
  List.find_map
    (function
      | Ipaddr.V6 p when Ipaddr.V6.Prefix.(mem (address p) link) ->
          Some (Ipaddr.V6.Prefix.address p)
      | Ipaddr.V6 _ | Ipaddr.V4 _ -> None)
    (Stack.IP.configured_ips (Stack.ip s))

let link_local_of s = Option.get (link_local s)
let v6_only ipv6_identifiers = { Stack.default with ipv6_identifiers }

let identifiers () =
  let made n identifiers =
    Stack.connect (v6_only identifiers) (Network.attach (Network.create ()) (mac n))
    >|= link_local_of
  in
  let same = Alcotest.testable Ipaddr.V6.pp (fun a b -> Ipaddr.V6.compare a b = 0) in
  made 1 `Modified_eui64 >>= fun eui64 ->
  Alcotest.check same "of the MAC" (Ndp_engine.link_local (mac 1)) eui64;
  made 1 (`Stable "one secret") >>= fun one ->
  made 1 (`Stable "one secret") >>= fun again ->
  made 1 (`Stable "another") >>= fun other ->
  made 2 (`Stable "one secret") >>= fun station ->
  made 1 `Private >|= fun private_ ->
  Alcotest.check same "the same secret" one again;
  let all = [ eui64; one; other; station; private_ ] in
  check_int "all others differ" 5 (List.length (List.sort_uniq Ipaddr.V6.compare all))

(* Another station has our address: with identifiers to choose from the next is taken, and the stack is ready
   a little later; an address of the MAC is tried again until the other station has gone. *)
let duplicate_of_link_local () =
  let network = Network.create () in
  let secret = `Stable "a secret" in
  let config = v6_only secret in
  let probe network = Stack.connect config (Network.attach network (mac 1)) >|= link_local_of in
  probe (Network.create ()) >>= fun wanted ->
  let squatter = stranger network in
  let answer target =
    let dst = Ipaddr.V6.link_nodes in
    let options = { W.Icmpv6.no_options with target_link = Some (mac 9) } in
    let m =
      W.Icmpv6.Neighbour_advertisement
        { router = false; solicited = false; override = true; target; options }
    in
    let b = Cstruct.create (W.Icmpv6.length m) in
    W.Icmpv6.emit ~src:target ~dst m b;
    inject squatter
      (ethernet ~destination:Macaddr.broadcast `IPv6
         (ipv6 ~hop_limit:255 ~src:target ~dst ~proto:W.Icmpv6.proto b))
  in
  Stack.connect config (Network.attach network (mac 1)) >>= fun s ->
  check_bool "used at once" true (Ipaddr.V6.compare (link_local_of s) wanted = 0);
  Env.sleep (Env.ms 100) >>= fun () ->
  answer wanted;
  Env.sleep (Env.sec 2) >>= fun () ->
  check_bool "another address" true (Ipaddr.V6.compare (link_local_of s) wanted <> 0);
  let theirs = Ndp_engine.link_local (mac 2) in
  Stack.connect (v6_only `Modified_eui64) (Network.attach network (mac 2)) >>= fun stubborn ->
  Env.sleep (Env.ms 100) >>= fun () ->
  answer theirs;
  Env.sleep (Env.sec 30) >>= fun () ->
  check_bool "given up" true (link_local stubborn = None);
  Env.sleep (Env.sec 40) >|= fun () ->
  check_bool "at last" true (Ipaddr.V6.compare (link_local_of stubborn) theirs = 0)

let () =
  Alcotest.run "addresses"
    [
      ( "addresses of ours",
        [
          case "early_connect" (run early_connect);
          case "identifiers" (run identifiers);
          case "duplicate_of_link_local" (run duplicate_of_link_local);
        ] );
    ]
