(* Disks through the C ABI: a file of Linux, with collections in between. *)

open Lwt.Infix
open Mirust_block

let megabyte = 1 lsl 20

let with_file size f =
  let path = Filename.temp_file "mirust-block" ".img" in
  let out = open_out_bin path in
  output_string out (String.make size '\000');
  close_out out;
  Mirust.Main.run
    ( Block.connect path >>= fun disk ->
      f path disk >>= fun () -> Block.disconnect disk );
  Sys.remove path

let contents path = In_channel.with_open_bin path In_channel.input_all

let fill b seed =
  for i = 0 to Cstruct.length b - 1 do
    Cstruct.set_char b i (Char.chr (((i * 7) + (i / 256) + seed) land 0xff))
  done

let result =
  Alcotest.testable
    (fun ppf r -> Fmt.result ~ok:(Fmt.any "ok") ~error:Block.pp_write_error ppf r)
    ( = )

let read_result =
  Alcotest.testable (fun ppf r -> Fmt.result ~ok:(Fmt.any "ok") ~error:Block.pp_error ppf r) ( = )

let ok what r = Alcotest.check result what (Ok ()) r
let ok_read what r = Alcotest.check read_result what (Ok ()) r

(* The disk as Mirage's libraries see it. *)
module Copy (B : Mirage_block.S) = struct
  let all disk =
    B.get_info disk >>= fun { size_sectors; sector_size; _ } ->
    let b = Cstruct.create (Int64.to_int size_sectors * sector_size) in
    B.read disk 0L [ b ] >|= function
    | Ok () -> Cstruct.to_string b
    | Error e -> Alcotest.failf "%a" B.pp_error e
end

module Copied = Copy (Block)

let what_is_written_is_in_the_file () =
  with_file (4 * megabyte) @@ fun path disk ->
  let { Block.sector_size = unit; size; _ } = Block.details disk in
  Alcotest.(check int64) "size" (Int64.of_int (4 * megabyte)) size;
  let one = Block.alloc megabyte and two = Cstruct.create (3 * unit) in
  fill one 1;
  fill two 2;
  Block.write disk 3L [ one; two ] >>= fun r ->
  ok "write" r;
  Block.flush disk >>= fun r ->
  ok "flush" r;
  let expected = Cstruct.to_string one ^ Cstruct.to_string two in
  Alcotest.(check bool)
    "in the file" true
    (String.equal expected (String.sub (contents path) (3 * unit) (String.length expected)));
  Copied.all disk >|= fun all ->
  Alcotest.(check bool) "the same" true (String.equal all (contents path));
  let stats = Block.stats disk in
  Alcotest.(check (list int)) "counted" [ 1; 1; 1 ] [ stats.reads; stats.writes; stats.flushes ]

let buffers_stay_through_collections () =
  with_file megabyte @@ fun _ disk ->
  let { Block.sector_size = unit; _ } = Block.details disk in
  let write n =
    let b = Cstruct.create unit in
    fill b n;
    Block.write disk (Int64.of_int n) [ b ]
  in
  let writes = List.init 64 write in
  Gc.compact ();
  ignore (Sys.opaque_identity (Array.init 1000 (fun i -> Bytes.create i)));
  Lwt.all writes >>= fun results ->
  List.iter (ok "write") results;
  let read n =
    let b = Cstruct.create unit and expected = Cstruct.create unit in
    fill expected n;
    let promise = Block.read disk (Int64.of_int n) [ b ] in
    Gc.full_major ();
    promise >|= fun r ->
    ok_read "read" r;
    Alcotest.(check bool) "bytes" true (Cstruct.equal b expected)
  in
  Lwt.join (List.init 64 read)

(* The kernel still writes there. *)
let buffers_stay_though_their_token_is_forgotten () =
  with_file megabyte @@ fun _ disk ->
  let first = Mirust.Completion.register ignore in
  Mirust.Completion.forget first;
  let second = Mirust.Completion.register ignore in
  Mirust.Completion.forget second;
  let freed = ref false in
  let read () =
    let b = Cstruct.create (Block.details disk).sector_size in
    Gc.finalise (fun _ -> freed := true) b.Cstruct.buffer;
    ignore (Block.read disk 0L [ b ] : _ Lwt.t)
  in
  let pending = Mirust.Completion.pending () in
  read ();
  Alcotest.(check int) "asked for" (pending + 1) (Mirust.Completion.pending ());
  Mirust.Completion.forget (second + (second - first));
  Alcotest.(check int) "forgotten" pending (Mirust.Completion.pending ());
  Gc.full_major ();
  Gc.full_major ();
  Alcotest.(check bool) "freed" false !freed;
  Lwt.return_unit

(* It is made or not: nothing waits for the end of one that was not. *)
let memory_ends_where_a_request_begins () =
  with_file megabyte @@ fun _ disk ->
  let { Block.sector_size = unit; _ } = Block.details disk in
  let pending = Mirust.Completion.pending () and b = Cstruct.create unit in
  let left = ref 0 in
  let fail _ =
    decr left;
    if !left = 0 then raise Out_of_memory else None
  in
  let write n =
    left := n;
    match Block.write disk 0L [ b ] with
    | written ->
        left := 0;
        Some written
    | exception Out_of_memory -> None
  in
  let tracker = { Gc.Memprof.null_tracker with alloc_minor = fail; alloc_major = fail } in
  let profile = Gc.Memprof.start ~sampling_rate:1. ~callstack_size:0 tracker in
  let writes = List.init 128 write in
  Gc.Memprof.stop ();
  Gc.Memprof.discard profile;
  let made = List.filter_map Fun.id writes in
  Alcotest.(check bool) "some" true (List.length made > 0 && List.length made < 128);
  Lwt.all made >>= fun results ->
  List.iter (ok "write") results;
  (* Of some that were made the promise is lost. *)
  let rec wait n =
    if n = 0 || Mirust.Completion.pending () = pending then Lwt.return_unit
    else Mirust.Time.ns 1_000_000L >>= fun () -> wait (n - 1)
  in
  wait 1000 >|= fun () -> Alcotest.(check int) "waited for" pending (Mirust.Completion.pending ())

let errors () =
  with_file megabyte @@ fun _ disk ->
  let { Block.sector_size = unit; _ } = Block.details disk in
  let last = Int64.of_int ((megabyte / unit) - 1) in
  let b n = [ Cstruct.create n ] in
  let check what expected r = Alcotest.check result what (Error expected) r in
  let check_read what expected r = Alcotest.check read_result what (Error expected) r in
  Block.write disk last (b (2 * unit)) >>= fun r ->
  check "past the end" `Out_of_range r;
  Block.read disk Int64.max_int (b unit) >>= fun r ->
  check_read "far past the end" `Out_of_range r;
  Block.read disk (-1L) (b unit) >>= fun r ->
  check_read "before the beginning" `Out_of_range r;
  Block.write disk 0L (b 100) >>= fun r ->
  check "part of a sector" `Misaligned r;
  Block.write disk 0L [ Cstruct.create 100; Cstruct.create (unit - 100) ] >>= fun r ->
  check "buffers that are parts of a sector" `Misaligned r;
  Block.read disk last (b unit) >>= fun r ->
  ok_read "the last sector" r;
  Block.read disk 0L [] >>= fun r ->
  ok_read "nothing" r;
  Block.discard ~secure:true disk 0L 8L >|= fun r -> check "secure discard" `Unimplemented r

let zeros () =
  with_file megabyte @@ fun path disk ->
  let b = Block.alloc megabyte in
  fill b 5;
  let { Block.sector_size = unit; _ } = Block.details disk in
  Block.write disk 0L [ b ] >>= fun r ->
  ok "write" r;
  Block.zero disk 1L 7L >>= fun r ->
  ok "zero" r;
  Block.flush disk >|= fun r ->
  ok "flush" r;
  let file = contents path in
  let all_zero = String.for_all (fun c -> c = '\000') (String.sub file unit (7 * unit)) in
  Alcotest.(check bool) "zeros" true all_zero;
  Alcotest.(check string)
    "around them"
    (Cstruct.to_string b ~off:(8 * unit))
    (String.sub file (8 * unit) (megabyte - (8 * unit)))

let closed () =
  with_file megabyte @@ fun path disk ->
  Block.connect path >>= fun same ->
  Alcotest.(check bool) "opened once" true (same == disk);
  Block.disconnect disk >>= fun () ->
  Block.read disk 0L [ Cstruct.create 4096 ] >>= fun r ->
  Alcotest.check read_result "read" (Error `Disconnected) r;
  Block.flush disk >>= fun r ->
  Alcotest.check result "flush" (Error `Disconnected) r;
  Lwt.catch
    (fun () -> Block.connect "/nonexistent/disk" >|= fun _ -> Alcotest.fail "connected")
    (function Failure _ -> Lwt.return_unit | exn -> Lwt.reraise exn)

let () =
  let case name f = Alcotest.test_case name `Quick f in
  Alcotest.run "block"
    [
      ( "file",
        [
          case "what_is_written_is_in_the_file" what_is_written_is_in_the_file;
          case "buffers_stay_through_collections" buffers_stay_through_collections;
          case "buffers_stay_though_their_token_is_forgotten"
            buffers_stay_though_their_token_is_forgotten;
          case "memory_ends_where_a_request_begins" memory_ends_where_a_request_begins;
          case "errors" errors;
          case "zeros" zeros;
          case "closed" closed;
        ] );
    ]
