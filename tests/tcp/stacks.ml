(* Whole stacks on a network in memory, and what an image's loop does for them. *)

open Mirust_net_env
open Mirust_net_mock
open Mirust_stack

let ok pp = function Ok v -> v | Error e -> Alcotest.failf "%a" pp e

(** The stack of 10.0.0.[n]. *)
let stack network n =
  let cidr = Ipaddr.V4.Prefix.make 24 (Ipaddr.V4.make 10 0 0 n) in
  let mac = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n)) in
  Stack.connect
    { Stack.default with ipv4 = `Static { cidr; gateway = None } }
    (Network.attach network mac)

let next_turn = Queue.create ()

(** A clock that stands still, and a loop whose next turn is the next call of {!turn}. *)
let install () =
  let mock = Mock.install () in
  Env.install_soon (fun f -> Queue.push f next_turn);
  mock

let turn mock =
  for _ = 1 to Queue.length next_turn do
    (Queue.pop next_turn) ()
  done;
  Mock.settle mock
