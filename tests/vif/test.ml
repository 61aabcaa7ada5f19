(* The C ABI of network devices against a device that receives what it sends, with collections in
   between. *)

open Lwt.Infix
open Mirust_netif
open Mirust_vif
open Mirust_wire

let get = function Ok v -> v | Error (`Msg message) -> Alcotest.fail message

type rig = { device : Device.t; mutable received : Packet.t list (* newest first *) }

let opened ?(kind = "loopback") ?(copy = 256) ?(pages = 64) () =
  let limits = { Vif.default_limits with receive_pages = pages } in
  Vif.connect ~limits (Fmt.str "%s:%d" kind copy) >|= fun device ->
  let t = { device = get device; received = [] } in
  t.device.on_receive (fun l -> t.received <- List.rev_append l t.received);
  t

let byte seed i = Char.chr (((i * 7) + (i / 256) + seed) land 0xff)

let fragment seed len =
  let b = Cstruct.create len in
  for i = 0 to len - 1 do
    Cstruct.set_char b i (byte seed i)
  done;
  b

(* A frame whose head is 54 bytes. *)
let send ?(gso_size = 0) t payload =
  let head = t.device.reserve 54 in
  if Cstruct.length head = 0 then `Full
  else (
    Cstruct.blit (fragment 0 54) 0 head 0 54;
    let checksum_start = if gso_size > 0 then 34 else 0 in
    t.device.send { head; payload; checksum_start; checksum_offset = 16; gso_size })

let frame payload = Cstruct.concat (fragment 0 54 :: payload)
let outcome = Alcotest.testable (fun ppf _ -> Fmt.string ppf "outcome") ( = )
let turn () = Lwt.pause () >>= Lwt.pause >>= Lwt.pause
let run f () = Mirust.Main.run (f ())

let check_bytes what expected (p : Packet.t) =
  Alcotest.(check bool) what true (Cstruct.equal expected p.data)

let comes_back_as_it_was_sent copy () =
  opened ~copy () >>= fun t ->
  Lwt_list.iter_s
    (fun sizes ->
      let payload = List.mapi fragment sizes in
      let total = List.fold_left ( + ) 0 sizes in
      let gso_size = if total > 1446 then 1400 else 0 in
      Alcotest.check outcome "sent" `Sent (send ~gso_size t payload);
      Gc.full_major ();
      turn () >>= fun () ->
      Gc.compact ();
      match t.received with
      | [ p ] ->
          check_bytes "bytes" (frame payload) p;
          Alcotest.(check int) "gso" gso_size p.gso_size;
          Alcotest.(check bool) "checksum" (gso_size > 0) (p.checksum = `Blank);
          t.received <- [];
          Lwt.return_unit
      | l -> Alcotest.failf "%d frames" (List.length l))
    [ []; [ 1 ]; [ 202 ]; [ 203 ]; [ 600; 0; 800 ]; [ 5000 ]; [ 30_000; 1; 30_000 ]; [ 65_400 ] ]

let collections () = (Gc.quick_stat ()).minor_collections

(* Turns with four frames of 60 kB each. *)
let large_frames t turns =
  let payload = [ fragment 1 60_000 ] in
  let rec go n =
    if n = 0 then Lwt.return_unit
    else (
      for _ = 1 to 4 do
        ignore (send ~gso_size:1400 t payload)
      done;
      turn () >>= fun () -> go (n - 1))
  in
  go turns

(* All frames of 500 such turns arrive, and the collector is asked for often enough. *)
let collected_meanwhile t =
  let arrived = ref 0 in
  t.device.on_receive (fun l -> arrived := !arrived + List.length l);
  let before = collections () in
  large_frames t 500 >|= fun () ->
  Alcotest.(check int) "all of them" 2000 !arrived;
  let often = collections () - before in
  if often < 50 then Alcotest.failf "%d collections for 2000 frames of 60 kB" often

(* After a few slabs, and not only when there is no other, so that those few serve for any number of frames. *)
let dead_frames_are_looked_for () = opened ~copy:100_000 () >>= collected_meanwhile

(* Even if there are hardly any pages to lend, which is said again and again. *)
let dead_frames_are_looked_for_while_pages_are_short () =
  opened ~pages:16 () >>= fun t ->
  large_frames t 16 >>= fun () ->
  let held = t.received in
  collected_meanwhile t >|= fun () -> ignore (Sys.opaque_identity held)

(* A part of a view keeps the memory, when nothing else does and others want it. *)
let parts_of_a_view_are_enough () =
  opened ~pages:16 () >>= fun t ->
  let kept = ref [] in
  let rec go n =
    if n = 0 then Lwt.return_unit
    else (
      ignore (send ~gso_size:1400 t [ fragment n 5000 ]);
      turn () >>= fun () ->
      List.iter
        (fun (p : Packet.t) ->
          if n mod 10 = 0 then
            kept := (n, Bigarray.Array1.sub (Cstruct.to_bigarray p.data) 1054 100) :: !kept)
        t.received;
      t.received <- [];
      Gc.full_major ();
      go (n - 1))
  in
  go 40 >|= fun () ->
  Alcotest.(check int) "kept" 4 (List.length !kept);
  List.iter
    (fun (seed, part) ->
      for i = 0 to 99 do
        if part.{i} <> byte seed (1000 + i) then Alcotest.failf "frame %d has changed" seed
      done)
    !kept

let lent_pages_are_used_again () =
  let pages = 768 in
  opened ~pages () >>= fun t ->
  let rec go n =
    if n = 0 then Lwt.return_unit
    else (
      for i = 1 to 8 do
        ignore (send t [ fragment i 1000 ])
      done;
      turn () >>= fun () ->
      if List.length t.received <> 8 then Alcotest.fail "frames are lost";
      t.received <- [];
      go (n - 1))
  in
  go 2000 >|= fun () ->
  let stats = (Option.get (Vif.stats t.device)).device in
  Alcotest.(check int) "frames" 16_000 stats.rx_frames;
  (* Held over several turns each, so that major collections have to find them, and those rest for a while after
     each. How long depends on the machine; but each page comes back more than once. *)
  let lent = (stats.rx_bytes - stats.rx_copied) / (stats.rx_bytes / stats.rx_frames) in
  if lent < 3 * pages then Alcotest.failf "%d of %d frames were lent" lent stats.rx_frames

let frames_held_for_long_cost_copies () =
  opened ~pages:64 () >>= fun t ->
  let rec go n =
    if n = 0 then Lwt.return_unit
    else (
      ignore (send t [ fragment n 1000 ]);
      turn () >>= fun () -> go (n - 1))
  in
  go 300 >|= fun () ->
  List.iteri (fun i p -> check_bytes "bytes" (frame [ fragment (i + 1) 1000 ]) p) t.received;
  Alcotest.(check int) "all" 300 (List.length t.received);
  let stats = (Option.get (Vif.stats t.device)).device in
  Alcotest.(check bool) "copies" true (stats.rx_copied >= 200 * 1054)

(* Nobody else refers to the payload while it is on its way, and nobody at all afterwards. *)
let payload_is_kept_while_it_is_sent () =
  opened () >>= fun t ->
  let dead = ref 0 in
  let payload () =
    let b = fragment 3 2000 in
    Gc.finalise (fun _ -> incr dead) b.buffer;
    [ b ]
  in
  Alcotest.check outcome "sent" `Sent (send ~gso_size:1400 t (payload ()));
  Gc.full_major ();
  Gc.full_major ();
  Alcotest.(check int) "kept" 0 !dead;
  turn () >>= fun () ->
  Gc.full_major ();
  Gc.full_major ();
  Alcotest.(check int) "let go" 1 !dead;
  check_bytes "bytes" (frame [ fragment 3 2000 ]) (List.hd t.received);
  Lwt.return_unit

let full_device_says_when_there_is_room () =
  opened () >>= fun t ->
  let room = ref 0 in
  t.device.on_room (fun () -> incr room);
  let rec fill n = match send t [] with `Sent -> fill (n + 1) | o -> (n, o) in
  let n, last = fill 0 in
  Alcotest.(check int) "ring" 256 n;
  Alcotest.check outcome "full" `Full last;
  turn () >>= turn >|= fun () ->
  Alcotest.(check int) "frames" 256 (List.length t.received);
  Alcotest.(check int) "room" 1 !room;
  Alcotest.check outcome "sent" `Sent (send t [])

let refuses_what_it_cannot_send () =
  opened () >|= fun t ->
  Alcotest.(check int) "reserve" 0 (Cstruct.length (t.device.reserve 1515));
  Alcotest.check outcome "too long" `Invalid_length (send t [ Cstruct.create 1461 ]);
  Alcotest.check outcome "too long" `Invalid_length
    (send ~gso_size:1400 t [ Cstruct.create 66_000 ]);
  Alcotest.check outcome "gso" `Invalid_length (send ~gso_size:70_000 t [ Cstruct.create 10 ])

let closed_device_is_gone () =
  opened () >>= fun t ->
  let gone = ref 0 in
  t.device.on_disconnect (fun () -> incr gone);
  t.device.disconnect ();
  t.device.disconnect ();
  turn () >|= fun () ->
  Alcotest.(check int) "gone" 1 !gone;
  let head = Cstruct.create 54 in
  let frame =
    { Device.head; payload = []; checksum_start = 0; checksum_offset = 0; gso_size = 0 }
  in
  Alcotest.check outcome "gone" `Disconnected (t.device.send frame)

(* With the stack that was its receiver. *)
let closed_device_is_forgotten () =
  let kept = Weak.create 1 and still_open = Weak.create 1 in
  let use kept close =
    opened () >>= fun t ->
    Weak.set kept 0 (Some t);
    ignore (send t [ fragment 0 3000 ]);
    turn () >>= fun () ->
    if close then t.device.disconnect ();
    turn ()
  in
  use kept true >>= fun () ->
  use still_open false >|= fun () ->
  Gc.full_major ();
  Alcotest.(check bool) "open" true (Weak.check still_open 0);
  Alcotest.(check bool) "closed" false (Weak.check kept 0)

(* Nor does what follows the memory keep them: of an image's devices, and of the stacks above them. *)
let closed_device_follows_no_memory () =
  let kept = Weak.create 2 in
  let use () =
    Mirust_net_image.connect "loopback:256" >>= fun device ->
    let engine =
      Mirust_tcp.Engine.create ~now:0
        ~random:(fun n -> String.make n 'r')
        ~mss:(fun ~dst:_ -> 1460)
        ~can_send:(fun () -> true)
        (fun ~src:_ ~dst:_ ~ect:_ _ _ ~length:_ ~segment_size:_ -> ())
    in
    Mirust_net_image.follow engine;
    Weak.set kept 0 (Some (Obj.repr (get device)));
    Weak.set kept 1 (Some (Obj.repr engine));
    (get device).disconnect ();
    turn ()
  in
  use () >|= fun () ->
  Gc.full_major ();
  Alcotest.(check bool) "the device" false (Weak.check kept 0);
  Alcotest.(check bool) "the engine" false (Weak.check kept 1)

(* The lowest bit of the first byte says so. *)
let alone_nobody_repeats_what_goes_to_groups () =
  opened ~kind:"alone" () >>= fun t ->
  let send_to first =
    let head = t.device.reserve 54 in
    Cstruct.blit (fragment 0 54) 0 head 0 54;
    Cstruct.set_uint8 head 0 first;
    t.device.send { head; payload = []; checksum_start = 0; checksum_offset = 16; gso_size = 0 }
  in
  let firsts = [ 0xff; 2; 0x33; 1; 0 ] in
  List.iter (fun first -> Alcotest.check outcome "sent" `Sent (send_to first)) firsts;
  turn () >|= fun () ->
  let received = List.rev_map (fun (p : Packet.t) -> Cstruct.get_uint8 p.data 0) t.received in
  Alcotest.(check (list int)) "to one station" [ 2; 0 ] received

(* Or nothing would be sent any more. *)
let what_memory_ran_out_for_is_said_again () =
  opened ~copy:0 () >>= fun t ->
  let told = ref 0 in
  t.device.on_room (fun () ->
      incr told;
      if !told = 1 then raise Out_of_memory);
  let rec fill n = if n < 10_000 && send t [ fragment n 1000 ] = `Sent then fill (n + 1) in
  fill 0;
  let rec wait n =
    if n = 0 || !told > 1 then Lwt.return_unit else turn () >>= fun () -> wait (n - 1)
  in
  wait 100 >|= fun () -> Alcotest.(check int) "told" 2 !told

external open_ :
  string -> (int[@untagged]) -> (int[@untagged]) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_net_open"
[@@noalloc]

external info : (int[@untagged]) -> bytes -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_net_info"
[@@noalloc]

(* Nobody could close it. *)
let memory_ends_while_a_device_is_connected () =
  let name = "loopback:0" in
  (* The table of what is in flight is too large for the minor heap. *)
  let alloc_major _ = raise Out_of_memory in
  let tracker = { Gc.Memprof.null_tracker with alloc_major } in
  let profile = Gc.Memprof.start ~sampling_rate:1. ~callstack_size:0 tracker in
  let failed = match Vif.connect name with _ -> false | exception Out_of_memory -> true in
  Gc.Memprof.stop ();
  Gc.Memprof.discard profile;
  Alcotest.(check bool) "failed" true failed;
  (* Devices have consecutive numbers. *)
  let next = open_ name (String.length name) 0 0 and link = Bytes.create 8 in
  ignore (info (next - 1) link (Bytes.length link) : int);
  Alcotest.(check int64) "closed" 2L (Bytes.get_int64_ne link 0);
  Lwt.return_unit

let unknown_interface_is_an_error () =
  Vif.connect "no such interface, it is too long" >|= function
  | Ok _ -> Alcotest.fail "opened"
  | Error (`Msg _) -> ()

let checksum_is_ocaml's () =
  let b = fragment 11 3000 in
  for _ = 1 to 2000 do
    let off = Random.int 1500 in
    let part = Cstruct.sub b off (Random.int (3000 - off)) in
    let len = Cstruct.length part in
    let sum = ref (if len land 1 = 1 then Cstruct.get_uint8 part (len - 1) lsl 8 else 0) in
    for i = 0 to (len / 2) - 1 do
      sum := !sum + Cstruct.BE.get_uint16 part (2 * i)
    done;
    let library = Checksum.fold (Checksum.bytes Checksum.zero part) in
    if Vif.checksum part mod 0xffff <> !sum mod 0xffff then Alcotest.fail "Rust's sum is wrong";
    if library mod 0xffff <> !sum mod 0xffff then Alcotest.fail "the library's sum is wrong"
  done;
  Lwt.return_unit

let () =
  let case name f = Alcotest.test_case name `Quick (run f) in
  Alcotest.run "vif"
    [
      ( "device",
        [
          case "comes back as it was sent, lent" (comes_back_as_it_was_sent 0);
          case "comes back as it was sent, copied" (comes_back_as_it_was_sent 100_000);
          case "dead frames are looked for" dead_frames_are_looked_for;
          case "dead frames are looked for while pages are short"
            dead_frames_are_looked_for_while_pages_are_short;
          case "parts of a view are enough" parts_of_a_view_are_enough;
          case "lent pages are used again" lent_pages_are_used_again;
          case "frames held for long cost copies" frames_held_for_long_cost_copies;
          case "payload is kept while it is sent" payload_is_kept_while_it_is_sent;
          case "full device says when there is room" full_device_says_when_there_is_room;
          case "refuses what it cannot send" refuses_what_it_cannot_send;
          case "closed device is gone" closed_device_is_gone;
          case "closed device is forgotten" closed_device_is_forgotten;
          case "closed device follows no memory" closed_device_follows_no_memory;
          case "alone, nobody repeats what goes to groups" alone_nobody_repeats_what_goes_to_groups;
          case "what memory ran out for is said again" what_memory_ran_out_for_is_said_again;
          case "memory ends while a device is connected" memory_ends_while_a_device_is_connected;
          case "unknown interface is an error" unknown_interface_is_an_error;
          case "checksum is OCaml's" checksum_is_ocaml's;
        ] );
    ]
