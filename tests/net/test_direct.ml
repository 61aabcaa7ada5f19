(* Direct style: fibres over Lwt, and over a stack on an Ethernet in memory. *)

open Mirust_net_env
open Mirust_net_mock
open Mirust_stack
module Direct = Mirust_direct
module Net = Direct.Make (Stack.V4V6)

let case name f = Alcotest.test_case name `Quick f
let check_bool = Alcotest.(check bool)
let check_int = Alcotest.(check int)
let check_string = Alcotest.(check string)
let sleep ns = Direct.await (Env.sleep ns)

let run f () =
  let mock = Mock.install () in
  Mock.run mock (Direct.run f)

let begins_at_once () =
  let began = ref false in
  let promise =
    Direct.run (fun () ->
        began := true;
        sleep (Env.ms 1);
        42)
  in
  check_bool "began" true !began;
  check_bool "waits" true (Lwt.is_sleeping promise);
  check_int "result" 42 (Direct.await promise)

let what_is_there_needs_no_fibre () =
  check_int "result" 1 (Direct.await (Lwt.return 1));
  (match Direct.await (Lwt.fail Not_found) with
  | () -> Alcotest.fail "no exception"
  | exception Not_found -> ());
  match Direct.await (fst (Lwt.wait ())) with
  | () -> Alcotest.fail "waited for ever"
  | exception Effect.Unhandled _ -> ()

let exceptions () =
  (match Direct.await (Lwt.bind (Env.sleep 1) (fun () -> Lwt.fail Exit)) with
  | () -> Alcotest.fail "no exception"
  | exception Exit -> ());
  let failed =
    Direct.run (fun () ->
        sleep 1;
        raise Not_found)
  in
  sleep 2;
  check_bool "the promise fails" true (Lwt.state failed = Lwt.Fail Not_found)

let all_in_their_order () =
  let start = Env.now () in
  let after n () =
    sleep (Env.ms (10 - n));
    n
  in
  Alcotest.(check (list int)) "results" [ 0; 1; 2; 3 ] (Direct.all (List.init 4 after));
  check_int "side by side" (Env.ms 10) (Env.now () - start);
  let ended = ref 0 in
  let fails n () =
    sleep (Env.ms n);
    incr ended;
    if n < 3 then failwith (string_of_int n)
  in
  match Direct.all (List.init 5 fails) with
  | (_ : unit list) -> Alcotest.fail "no exception"
  | exception Failure n ->
      check_string "the first" "0" n;
      check_int "all have ended" 5 !ended

let cancelled () =
  let state = ref "waits" in
  let promise =
    Direct.run (fun () ->
        match Direct.await (fst (Lwt.task ())) with
        | () -> state := "resolved"
        | exception Lwt.Canceled -> state := "cancelled")
  in
  Lwt.cancel promise;
  check_string "in the fibre" "cancelled" !state;
  check_bool "which went on" true (Lwt.state promise = Lwt.Return ())

(* Neither the stack nor the heap remembers how often a fibre has waited. *)
let for_ever () =
  let live () =
    Gc.full_major ();
    (Gc.stat ()).live_words
  in
  let before = live () in
  for _ = 1 to 100_000 do
    Direct.await (Lwt.pause ())
  done;
  check_bool "as little as before" true (live () - before < 10_000)

let stack network n =
  let mac = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n)) in
  let cidr = Ipaddr.V4.Prefix.make 24 (Ipaddr.V4.make 10 0 0 n) in
  Direct.await
    (Stack.connect
       { Stack.default with ipv4 = `Static { cidr; gateway = None } }
       (Network.attach network mac))

let ip n = Ipaddr.V4 (Ipaddr.V4.make 10 0 0 n)

let rec echo flow =
  match Net.read flow with
  | Ok (`Data b) when Net.write flow b = Ok () -> echo flow
  | Ok (`Data _ | `Eof) | Error _ -> ()

let connections () =
  let network = Network.create () in
  let a = stack network 1 and b = stack network 2 in
  Net.listen b ~port:7 echo;
  (* One that raises loses its connection, and nothing else. *)
  Net.listen b ~port:8 (fun _ -> failwith "as it was asked to");
  let client n () =
    match Net.connect a (ip 2, 7) with
    | Error e -> Alcotest.failf "%a" Stack.TCP.pp_error e
    | Ok flow ->
        let data = String.make (n * 1000) 'x' in
        Direct.fork (fun () -> ignore (Net.writev flow [ Cstruct.of_string data ] : (_, _) result));
        let rec read left =
          if left > 0 then
            match Net.read flow with
            | Ok (`Data b) -> read (left - Cstruct.length b)
            | Ok `Eof | Error _ -> Alcotest.fail "it ends early"
        in
        read (n * 1000);
        Net.close flow
  in
  ignore (Direct.all (List.init 20 client) : unit list);
  (match Net.connect a (ip 2, 8) with
  | Error e -> Alcotest.failf "%a" Stack.TCP.pp_error e
  | Ok flow -> check_bool "closed" true (Net.read flow = Ok `Eof));
  check_bool "refused" true (Result.is_error (Net.connect a (ip 2, 9)));
  client 1 ()

let () =
  Lwt.async_exception_hook := ignore;
  Alcotest.run "direct"
    [
      ( "fibres",
        [
          case "begins_at_once" (run begins_at_once);
          case "what_is_there_needs_no_fibre" what_is_there_needs_no_fibre;
          case "exceptions" (run exceptions);
          case "all_in_their_order" (run all_in_their_order);
          case "cancelled" (run cancelled);
          case "for_ever" (run for_ever);
        ] );
      ("stack", [ case "connections" (run connections) ]);
    ]
