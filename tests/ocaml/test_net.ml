(* mirust::net over a stack that talks to itself, with collections all the time. *)

open Lwt.Infix
open Mirust

type outcome = (unit, string) result Lwt.t

external echo : string -> (int[@untagged]) -> (int, string) result Lwt.t
  = "mirust_native_only" "test_net_echo"

external peek : string -> outcome = "test_net_peek"
external read_given_up : string -> outcome = "test_net_read_given_up"
external listeners : string -> outcome = "test_net_listeners"
external accept_given_up : string -> outcome = "test_net_accept_given_up"
external reset : string -> outcome = "test_net_reset"
external many : string -> (int[@untagged]) -> outcome = "mirust_native_only" "test_net_many"
external udp : string -> outcome = "test_net_udp"
external names : unit -> outcome = "test_net_names"
external unavailable : string -> bool = "test_net_unavailable"

let on = "10.0.0.1:0"

let stack =
  lazy
    (let device = Mirust_netif.(Network.attach (Network.create ())) Macaddr.broadcast in
     let cidr = Ipaddr.V4.Prefix.of_string_exn "10.0.0.1/24" in
     let open Mirust_stack in
     let ipv4 = `Static { Stack.cidr; gateway = None } in
     Mirust_network.connect { Stack.default with ipv4; ipv6 = `Off } device >|= fun stack ->
     Mirust_rust.serve stack)

(* Collects as often as the loop turns. *)
let rec collect () =
  Time.ns 100_000L >>= fun () ->
  Gc.full_major ();
  collect ()

let run f =
  let result = ref None in
  let test = Lazy.force stack >>= f >|= fun r -> result := Some r in
  let late = Time.ns 30_000_000_000L >>= fun () -> Lwt.fail_with "it hangs" in
  Main.run (Lwt.pick [ test; collect (); late ]);
  Option.get !result

let ok f () = Alcotest.(check (result unit string)) "ok" (Ok ()) (run f)
let case = Test_promise.case

let tests =
  [
    case "no_network_inside_a_call" (fun () ->
        Alcotest.(check bool) "unavailable" true (unavailable on));
    case "a_megabyte_there_and_back" (fun () ->
        Alcotest.(check (result int string))
          "size" (Ok 1_000_000)
          (run (fun () -> echo on 1_000_000)));
    case "received_bytes_are_where_the_stack_has_them" (ok (fun () -> peek on));
    case "a_read_that_is_given_up_loses_nothing" (ok (fun () -> read_given_up on));
    case "a_dropped_listener_refuses" (ok (fun () -> listeners on));
    case "a_dropped_listener_resets" (ok (fun () -> accept_given_up on));
    case "a_reset_is_an_error" (ok (fun () -> reset on));
    case "many_connections" (ok (fun () -> many on 300));
    case "datagrams" (ok (fun () -> udp on));
    case "names" (ok (fun () -> names ()));
  ]
