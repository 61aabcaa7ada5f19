(* What connections may hold: places, and the memory of buffers that are larger than what they hold of them. *)

open Mirust_net_env
open Mirust_net_mock
open Mirust_stack
open Lwt.Infix
open Stranger

let few = { Stack.default_limits with tcp = { Stack.default_limits.tcp with connections_max = 8 } }

let two_stacks ?limits () =
  let network = Network.create () in
  let start ?limits n =
    let cidr = Ipaddr.V4.Prefix.make 24 (Ipaddr.V4.make 10 0 0 n) in
    Stack.connect ?limits
      { Stack.default with ipv4 = `Static { cidr; gateway = None } }
      (Network.attach network (mac n))
  in
  start 1 >>= fun a ->
  start ?limits 2 >|= fun b ->
  Stack.TCP.listen (Stack.tcp b) ~port:7 echo;
  (a, b)

let ask flow text =
  Stack.TCP.write flow (Cstruct.of_string text) >>= fun _ ->
  Stack.TCP.read flow >|= function
  | Ok (`Data b) -> Cstruct.to_string b = text
  | Ok `Eof | Error _ -> false

let evicted s = (Mirust_tcp.Engine.stats (Stack.TCP.engine (Stack.tcp s))).evicted

(* Eight connections take all the places. As long as they are used, nobody else comes in; those that are
   not make room. *)
let idle_connections_make_room () =
  two_stacks ~limits:few () >>= fun (a, b) ->
  let connect () = Stack.TCP.create_connection (Stack.tcp a) (ip "10.0.0.2", 7) >|= Result.get_ok in
  Lwt_list.map_s (fun _ -> connect ()) (List.init 8 Fun.id) >>= fun flows ->
  let busy = List.hd flows in
  let rec use n =
    if n = 0 then Lwt.return_unit
    else
      ask busy "busy" >>= fun ok ->
      check_bool "busy" true ok;
      Env.sleep (Env.ms 300) >>= fun () -> use (n - 1)
  in
  use 5 >>= fun () ->
  connect () >>= fun ninth ->
  ask ninth "honest" >>= fun ok ->
  check_bool "the ninth" true ok;
  ask busy "busy" >>= fun ok ->
  check_bool "the one in use" true ok;
  check_int "evicted" 1 (evicted b);
  (* Many more come and go. *)
  let rec more n =
    if n = 0 then Lwt.return_unit
    else
      connect () >>= fun flow ->
      ask flow "honest" >>= fun ok ->
      check_bool "one more" true ok;
      Env.sleep (Env.ms 400) >>= fun () ->
      ask busy "busy" >>= fun ok ->
      check_bool "the one in use" true ok;
      more (n - 1)
  in
  more 20 >|= fun () ->
  check_bool "not more than there are" true
    (Mirust_tcp.Engine.connections (Stack.TCP.engine (Stack.tcp b)) <= 8)

(* What connections hold of a large buffer is copied out of it, wherever it waits, and arrives whole. *)
let held_octets_are_copied () =
  two_stacks () >>= fun (a, b) ->
  let size = 1000 and count = 590 in
  let go, start = Lwt.wait () in
  let received = Buffer.create (size * count) in
  let rec collect flow =
    Stack.TCP.read flow >>= function
    | Ok (`Data view) ->
        Buffer.add_string received (Cstruct.to_string view);
        collect flow
    | Ok `Eof | Error _ -> Lwt.return_unit
  in
  let done_, finished = Lwt.wait () in
  Stack.TCP.listen (Stack.tcp b) ~port:8 (fun flow ->
      go >>= fun () ->
      collect flow >|= fun () -> Lwt.wakeup_later finished ());
  Stack.TCP.create_connection (Stack.tcp a) (ip "10.0.0.2", 8) >|= Result.get_ok >>= fun flow ->
  let slab = Cstruct.of_string (String.init (size * count) (fun i -> Char.chr (i * 7 mod 251))) in
  let writes =
    Lwt_list.iter_s
      (fun i -> Stack.TCP.write flow (Cstruct.sub slab (i * size) size) >|= ignore)
      (List.init count Fun.id)
  in
  Env.sleep (Env.sec 1) >>= fun () ->
  check_bool "a writer waits" true (Lwt.is_sleeping writes);
  let engine = Stack.TCP.engine (Stack.tcp a) in
  let before = Mirust_tcp.Engine.memory engine in
  Stack.TCP.compact ~device:(( == ) slab.buffer) (Stack.tcp a);
  Stack.TCP.compact ~device:(( == ) slab.buffer) (Stack.tcp b);
  check_int "as much as before" before (Mirust_tcp.Engine.memory engine);
  Mirust_tcp.Engine.iter engine (fun c ->
      Mirust_tcp.Flight.iter (Mirust_tcp.Engine.tcb c).flight (fun piece ->
          check_bool "in flight" false
            (List.exists (fun (v : Cstruct.t) -> v.buffer == slab.buffer) piece.payload)));
  Lwt.wakeup_later start ();
  writes >>= fun () ->
  Stack.TCP.close flow >>= fun () ->
  done_ >>= fun () ->
  Env.sleep (Env.sec 1) >|= fun () ->
  check_bool "whole" true (Buffer.contents received = Cstruct.to_string slab);
  check_int "nothing is left" 0 (Mirust_tcp.Engine.memory engine)

let copies_hold_no_more_than_they_have () =
  let open Mirust_tcp in
  let users = Cstruct.create 262_144 and slab = Cstruct.create 98_304 in
  let views = List.init 100 (fun i -> Cstruct.sub users (i * 2000) ((i * 37 mod 1448) + 1)) in
  let large = Cstruct.sub users 200_000 (Pinned.worth + 1) and frame = Cstruct.sub slab 54 60_000 in
  let all = views @ [ large; frame ] @ views in
  let device b = b == slab.buffer in
  let after = Pinned.compact ~device all in
  check_bool "the same octets" true (Cstruct.equal (Cstruct.concat all) (Cstruct.concat after));
  check_bool "nothing is pinned" false (List.exists (Pinned.pins ~device) after);
  let is_copy (v : Cstruct.t) = v.buffer != users.buffer in
  let size (v : Cstruct.t) = Bigarray.Array1.dim v.buffer in
  check_bool "copies are exact" true
    (List.for_all (fun v -> size v = Cstruct.length v) (List.filter is_copy after));
  check_int "the large piece is the user's" 1
    (List.length (List.filter (fun v -> not (is_copy v)) after));
  check_bool "fewer views" true (List.length after < 50)

let () =
  Alcotest.run "bounds"
    [
      ( "what connections hold",
        [
          case "idle_connections_make_room" (run idle_connections_make_room);
          case "held_octets_are_copied" (run held_octets_are_copied);
          case "copies_hold_no_more_than_they_have" copies_hold_no_more_than_they_have;
        ] );
    ]
