(* mirust::net over a stack that talks to itself, with collections all the time. *)

open Lwt.Infix
open Mirust

type outcome = (unit, string) result Lwt.t

external echo : string -> (int[@untagged]) -> (int, string) result Lwt.t
  = "mirust_native_only" "mirust_export_test_net_echo"

external peek : string -> outcome = "mirust_export_test_net_peek"
external read_given_up : string -> outcome = "mirust_export_test_net_read_given_up"
external arrived : string -> outcome = "mirust_export_test_net_arrived"
external rest : string -> outcome = "mirust_export_test_net_rest"
external listeners : string -> outcome = "mirust_export_test_net_listeners"
external accept_given_up : string -> outcome = "mirust_export_test_net_accept_given_up"
external reset : string -> outcome = "mirust_export_test_net_reset"

external many : string -> (int[@untagged]) -> outcome
  = "mirust_native_only" "mirust_export_test_net_many"

external udp : string -> outcome = "mirust_export_test_net_udp"
external names : unit -> outcome = "mirust_export_test_net_names"
external unavailable : string -> bool = "mirust_export_test_net_unavailable"
external halves : string -> outcome = "mirust_export_test_net_halves"
external vectored : string -> outcome = "mirust_export_test_net_vectored"
external two_accept : string -> outcome = "mirust_export_test_net_two_accept"
external figures : string -> outcome = "mirust_export_test_net_figures"
external udp_connected : string -> outcome = "mirust_export_test_net_udp_connected"
external embedded_io : string -> outcome = "mirust_export_test_net_embedded_io"
external embedded_nal : string -> outcome = "mirust_export_test_net_embedded_nal"
external futures_io : string -> outcome = "mirust_export_test_net_futures_io"
external hyper : string -> outcome = "mirust_export_test_net_hyper"
external tokio : string -> outcome = "mirust_export_test_net_tokio"
external owned_acknowledged : string -> outcome = "mirust_export_test_net_owned_acknowledged"
external owned_reset : string -> outcome = "mirust_export_test_net_owned_reset"
external owned_aborted : string -> outcome = "mirust_export_test_net_owned_aborted"
external owned_unsent : string -> outcome = "mirust_export_test_net_owned_unsent"
external owned_given_up : string -> outcome = "mirust_export_test_net_owned_given_up"
external owned_disconnected : string -> outcome = "mirust_export_test_net_owned_disconnected"
external owned_panics : string -> outcome = "mirust_export_test_net_owned_panics"
external slow_reader : string -> bool -> outcome = "mirust_export_test_net_slow_reader"
external out_of_memory : string -> outcome = "mirust_export_test_net_out_of_memory"
external told : string -> unit Lwt.t -> (int, string) result Lwt.t = "mirust_export_test_net_told"
external lost_piece : string -> (int, string) result Lwt.t = "mirust_export_test_net_lost_piece"

external crossings : string -> (int[@untagged]) -> outcome
  = "mirust_native_only" "mirust_export_test_net_crossings"

external flow : Mirust_stack.Stack.TCP.flow -> outcome = "mirust_export_test_net_flow"

external owned_stream : string -> (int[@untagged]) -> (int, string) result Lwt.t
  = "mirust_native_only" "mirust_export_test_net_owned_stream"

external nothing_lent : unit -> outcome = "mirust_export_test_net_nothing_lent"
external lend : (int[@untagged]) -> Cstruct.t = "mirust_native_only" "mirust_export_test_lend"

external lent_drops : unit -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_lent_drops"

external bytes_lent : unit -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_bytes_lent"

let on = "10.0.0.1:0"

let new_stack () =
  let device = Mirust_net_mock.(Network.attach (Network.create ())) Macaddr.broadcast in
  let cidr = Ipaddr.V4.Prefix.of_string_exn "10.0.0.1/24" in
  let open Mirust_stack in
  let ipv4 = `Static { Stack.cidr; gateway = None } in
  Mirust_network.connect { Stack.default with ipv4; ipv6 = `Off } device

let stack =
  lazy
    ( new_stack () >|= fun stack ->
      Mirust_rust.serve stack;
      stack )

(* Collects as often as the loop turns. *)
let rec collect () =
  Time.ns 100_000L >>= fun () ->
  Collect.full_major ();
  collect ()

let run_among others f =
  let result = ref None in
  let test =
    Lazy.force stack >>= fun _ ->
    f () >|= fun r -> result := Some r
  in
  let late = Time.ns 300_000_000_000L >>= fun () -> Lwt.fail_with "it hangs" in
  Main.run (Lwt.pick (test :: late :: others));
  Option.get !result

let run f = run_among [ collect () ] f
let ok f () = Alcotest.(check (result unit string)) "ok" (Ok ()) (run f)
let case = Test_promise.case

(* A memory that is enough for a few connections. *)
let no_room () =
  let before = (Mirust.Budget.get ()).total in
  Fun.protect
    ~finally:(fun () -> Mirust.Budget.set before)
    (ok (fun () ->
         Mirust.Budget.set (1 lsl 18);
         out_of_memory on))

(* The nth allocation of what takes a piece out of a connection fails: by then it has been taken. *)
let with_piece_lost ~after f =
  let left = ref after in
  let takes (info : Gc.Memprof.allocation) =
    match Printexc.backtrace_slots info.callstack with
    | Some slots when Array.length slots > 0 ->
        Option.fold ~none:false
          ~some:(String.ends_with ~suffix:"Streams.take")
          (Printexc.Slot.name slots.(0))
    | Some _ | None -> false
  in
  let fail info =
    if !left > 0 && takes info then (
      decr left;
      if !left = 0 then raise Out_of_memory);
    None
  in
  let tracker = { Gc.Memprof.null_tracker with alloc_minor = fail } in
  let profile = Gc.Memprof.start ~sampling_rate:1. ~callstack_size:4 tracker in
  Lwt.finalize f (fun () ->
      Gc.Memprof.stop ();
      Gc.Memprof.discard profile;
      Lwt.return_unit)
  >|= fun result ->
  Alcotest.(check int) "memory ran out" 0 !left;
  result

let piece_lost () =
  match run_among [] (fun () -> with_piece_lost ~after:20 (fun () -> lost_piece on)) with
  | Ok read -> Alcotest.(check bool) "some bytes came before" true (read > 0 && read < 200_000)
  | Error e -> Alcotest.fail e

(* A piece that a reader has been told of, and does not take, is all that is kept of the buffer in which it came. *)
let told_pieces_are_copied () =
  let open Mirust_stack in
  let network = Mirust_net_mock.Network.create () in
  let buffers = ref 0 in
  (* Each frame arrives in a large buffer. *)
  let into_large frame =
    let large = Cstruct.create 65536 in
    incr buffers;
    Gc.finalise (fun _ -> decr buffers) large.Cstruct.buffer;
    let length = Cstruct.length frame in
    Cstruct.blit frame 0 large 0 length;
    Cstruct.sub large 0 length
  in
  let attach number =
    let mac = Macaddr.of_octets_exn (Printf.sprintf "\x02\000\000\000\000%c" number) in
    let device = Mirust_net_mock.Network.attach network mac in
    let on_receive f =
      device.on_receive (fun packets ->
          f
            (List.map
               (fun (p : Mirust_wire.Packet.t) -> { p with data = into_large p.data })
               packets))
    in
    let cidr = Ipaddr.V4.Prefix.of_string_exn (Printf.sprintf "10.1.0.%d/24" (Char.code number)) in
    let ipv4 = `Static { Stack.cidr; gateway = None } in
    Mirust_network.connect
      { Stack.default with ipv4; ipv6 = `Off }
      { device with Mirust_netif.Device.on_receive }
  in
  let piece = Cstruct.of_string (String.make 100 'x') in
  let say peer =
    Stack.TCP.create_connection (Stack.tcp peer) (Ipaddr.of_string_exn "10.1.0.1", 5000)
    >>= function
    | Error _ -> Lwt.fail_with "no connection"
    | Ok flow -> (
        Stack.TCP.read flow >>= function
        | Ok (`Data _) -> Stack.TCP.write flow piece >|= Result.is_ok
        | Ok `Eof | Error _ -> Lwt.return_false)
  in
  let rec few tries =
    Collect.full_major ();
    if !buffers < 10 then Lwt.return_true
    else if tries = 0 then Lwt.return_false
    else Time.ns 1_000_000L >>= fun () -> few (tries - 1)
  in
  let test () =
    Lazy.force stack >>= fun first ->
    attach '\001' >>= fun stack ->
    attach '\002' >>= fun peer ->
    Mirust_rust.serve stack;
    let until, enough = Lwt.wait () in
    let reading = told "10.1.0.1:5000" until in
    Lwt.finalize
      (fun () ->
        Lwt_list.map_s (fun () -> say peer) (List.init 20 ignore) >>= fun written ->
        few 2000 >>= fun few ->
        Lwt.wakeup enough ();
        reading >|= Result.map (fun read -> (List.for_all Fun.id written, few, read)))
      (fun () -> Lwt.return (Mirust_rust.serve first))
  in
  Alcotest.(check (result (triple bool bool int) string))
    "written, copied, read"
    (Ok (true, true, 2000))
    (run_among [] test)

(* A second stack, which goes away in the middle of it. *)
let disconnected () =
  let test () =
    Lazy.force stack >>= fun first ->
    new_stack () >>= fun second ->
    Mirust_rust.serve second;
    let engine = Mirust_stack.Stack.(TCP.engine (tcp second)) in
    (* When some of it is under way. *)
    let rec leave () =
      if Mirust_tcp.Engine.memory engine > 0 then Mirust_stack.Stack.disconnect second
      else Time.ns 1_000_000L >>= leave
    in
    Lwt.finalize
      (fun () -> Lwt.both (owned_disconnected on) (leave ()) >|= fst)
      (fun () -> Lwt.return (Mirust_rust.serve first))
  in
  Alcotest.(check (result unit string)) "ok" (Ok ()) (run test)

(* OCaml connects to itself, and has Rust answer. *)
let flow_of_ocaml () =
  let module TCP = Mirust_stack.Stack.TCP in
  let text = String.init 200_000 (fun i -> Char.chr (i * 31 land 0xff)) in
  let port = 4000 and answered = ref (Error "nobody answered") in
  let rec read_all flow received =
    TCP.read flow >>= function
    | Ok (`Data b) -> read_all flow (received ^ Cstruct.to_string b)
    | Ok `Eof -> Lwt.return received
    | Error e -> Lwt.fail_with (Format.asprintf "%a" TCP.pp_error e)
  in
  let test () =
    Lazy.force stack >>= fun stack ->
    let tcp = Mirust_stack.Stack.tcp stack in
    TCP.listen tcp ~port (fun accepted -> flow accepted >|= fun r -> answered := r);
    TCP.create_connection tcp (Ipaddr.of_string_exn "10.0.0.1", port) >>= function
    | Error e -> Lwt.fail_with (Format.asprintf "%a" TCP.pp_error e)
    | Ok client ->
        let write =
          TCP.write client (Cstruct.of_string text) >>= fun _ -> TCP.shutdown client `write
        in
        Lwt.both (read_all client "") write >|= fun (received, ()) ->
        TCP.unlisten tcp ~port;
        if received = text then !answered else Error "other bytes"
  in
  Alcotest.(check (result unit string)) "ok" (Ok ()) (run test)

let turn () = Main.run (Time.ns 1_000_000L)

(* What OCaml can do with bytes of Rust's, and when it has done with them. *)
let lent () =
  let check_int what = Alcotest.(check int) what in
  let before = bytes_lent () in
  let whole = ref (Some (lend 5000)) in
  check_int "lent" 5000 (bytes_lent () - before);
  let contents = Cstruct.to_string (Option.get !whole) in
  let part = ref (Some (Bigarray.Array1.sub (Option.get !whole).Cstruct.buffer 1000 10)) in
  let copy : Cstruct.buffer =
    Marshal.from_string (Marshal.to_string (Option.get !whole).Cstruct.buffer []) 0
  in
  whole := None;
  Gc.compact ();
  turn ();
  check_int "a part is left" 0 (lent_drops ());
  Alcotest.(check string)
    "the part" (String.sub contents 1000 10)
    (Cstruct.to_string (Cstruct.of_bigarray (Option.get !part)));
  let of_copy = Bigarray.Array1.sub copy 1000 10 in
  Alcotest.(check bool) "equal" true (Option.get !part = of_copy);
  check_int "hash" (Hashtbl.hash of_copy) (Hashtbl.hash (Option.get !part));
  part := None;
  Gc.full_major ();
  check_int "not inside the collector" 0 (lent_drops ());
  turn ();
  check_int "dropped once" 1 (lent_drops ());
  check_int "nothing is lent" before (bytes_lent ());
  Alcotest.(check string) "the copy" contents (Cstruct.to_string (Cstruct.of_bigarray copy))

(* What nobody can reach does not pile up. OCaml's own pace does not see to it here, as other tests
   have forced more collections than it would have called for. *)
let pace () =
  match run_among [] (fun () -> owned_stream on 8192) with
  | Error e -> Alcotest.fail e
  | Ok most ->
      let megabytes = most lsr 20 in
      Alcotest.(check bool) (Printf.sprintf "%d of 512 MiB" megabytes) true (megabytes < 128)

(* A million times into OCaml and back, and both heaps are as before. *)
let leaks () =
  let crossings n =
    let result = run_among [] (fun () -> crossings on n) in
    Alcotest.(check (result unit string)) "ok" (Ok ()) result;
    ok nothing_lent ()
  in
  let live () =
    Gc.compact ();
    turn ();
    ((Gc.stat ()).live_words, (Stats.Memory.get ()).heap)
  in
  crossings (Often.times 10_000);
  let words, heap = live () in
  for _ = 1 to 4 do
    crossings (Often.times 250_000)
  done;
  let words', heap' = live () in
  Alcotest.(check bool)
    (Printf.sprintf "OCaml's heap: %d" (words' - words))
    true
    (words' - words < 20_000);
  Alcotest.(check bool)
    (Printf.sprintf "Rust's heap: %d" (heap' - heap))
    true
    (heap' - heap < 100_000)

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
    case "what_has_arrived_is_read_or_resets" (ok (fun () -> arrived on));
    case "a_rest_that_nobody_read_resets" (ok (fun () -> rest on));
    case "a_dropped_listener_refuses" (ok (fun () -> listeners on));
    case "a_dropped_listener_resets" (ok (fun () -> accept_given_up on));
    case "a_reset_is_an_error" (ok (fun () -> reset on));
    case "a_flow_of_ocaml_becomes_a_stream" flow_of_ocaml;
    case "many_connections" (ok (fun () -> many on 300));
    case "datagrams" (ok (fun () -> udp on));
    case "a_connected_socket_hears_its_peer_alone" (ok (fun () -> udp_connected on));
    case "names" (ok (fun () -> names ()));
    case "halves_and_the_whole" (ok (fun () -> halves on));
    case "slices_leave_together" (ok (fun () -> vectored on));
    case "two_tasks_accept" (ok (fun () -> two_accept on));
    case "figures" (ok (fun () -> figures on));
    case "by_embedded_io" (ok (fun () -> embedded_io on));
    case "by_embedded_nal" (ok (fun () -> embedded_nal on));
    case "by_futures_io" (ok (fun () -> futures_io on));
    case "by_hyper" (ok (fun () -> hyper on));
    case "by_tokio" (ok (fun () -> tokio on));
    case "lent_bytes_live_as_long_as_a_part_of_them" lent;
    case "an_owner_is_dropped_when_all_is_acknowledged" (ok (fun () -> owned_acknowledged on));
    case "an_owner_is_dropped_after_a_reset" (ok (fun () -> owned_reset on));
    case "an_owner_is_dropped_after_an_abort" (ok (fun () -> owned_aborted on));
    case "an_owner_outlives_its_stream" (ok (fun () -> owned_unsent on));
    case "an_owner_whose_write_was_given_up" (ok (fun () -> owned_given_up on));
    case "an_owner_outlives_the_stack" disconnected;
    case "an_owner_that_panics" (Test_promise.quiet (ok (fun () -> owned_panics on)));
    case "a_slow_reader_of_copies_holds_little" (ok (fun () -> slow_reader on false));
    case "a_slow_reader_of_owned_bytes_holds_little" (ok (fun () -> slow_reader on true));
    case "owners_do_not_pile_up" pace;
    case "what_nobody_takes_keeps_no_receive_buffer" told_pieces_are_copied;
    case "nothing_is_read_from_behind_a_piece_that_is_lost" piece_lost;
    case "out_of_memory_is_an_error" no_room;
    case "a_million_crossings_leave_nothing" leaks;
  ]
