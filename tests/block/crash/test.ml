(* The disk that crashes, by what stands upon it: cells that hold a number. One is right; the others have each a
   mistake that is easy to make, and the disk has to find it.

     SEED=7 dune exec tests/block/crash/test.exe       one seed
     SEEDS=20000 dune exec tests/block/crash/test.exe  so many, from 1 on *)

open Lwt.Infix
module Disk = Mirust_block_mock.Crash_disk

let sectors = 3 (* of a slot: more than one, so that it can be torn between them *)
let sector_size = 512

(* {1 A cell} *)

let slot_of number =
  let text = Printf.sprintf "%019d" number in
  let body = String.concat "" (List.init 76 (fun _ -> text)) in
  Digest.string body ^ body ^ String.make ((sectors * sector_size) - 16 - String.length body) '\000'

let number_of slot =
  let body = String.sub slot 16 (19 * 76) in
  if String.sub slot 0 16 = Digest.string body then
    Some (int_of_string ("0u" ^ String.sub body 0 19))
  else None

type design = { slots : int; flushed : bool }

let right = { slots = 2; flushed = true }
let fail pp = function Ok x -> x | Error e -> Alcotest.failf "%a" pp e

let put design disk number =
  let at = Int64.of_int (number mod design.slots * sectors) in
  Disk.write disk at [ Cstruct.of_string (slot_of number) ] >>= fun r ->
  fail Disk.pp_write_error r;
  if design.flushed then Disk.flush disk >|= fail Disk.pp_write_error else Lwt.return_unit

let get design disk =
  let image = Disk.contents disk in
  let slot n = String.sub image (n * sectors * sector_size) (sectors * sector_size) in
  let number slot = Option.value (number_of slot) ~default:0 in
  List.fold_left max 0 (List.init design.slots (fun n -> number (slot n)))

(* {1 Crashes} *)

(* Five lives of a disk: what a life finds is at least what the one before it was told. *)
let keeps_its_word design seed =
  let random = Random.State.make [| seed; 1 |] in
  let rec life n disk told tried =
    let found = get design disk in
    if found < told || found > tried then false
    else if n = 0 then true
    else
      let told = ref found and tried = ref found in
      let rec work () =
        incr tried;
        let number = !tried in
        put design disk number >>= fun () ->
        told := number;
        work ()
      in
      let work = work () in
      for _ = 1 to Random.State.int random 60 do
        Lwt.wakeup_paused ()
      done;
      ignore (Sys.opaque_identity work);
      life (n - 1) (Disk.crash disk) !told !tried
  in
  life 5 (Disk.create ~sector_size ~seed (2 * sectors)) 0 0

let number name = Option.bind (Sys.getenv_opt name) int_of_string_opt
let seeds = Option.value (number "SEEDS") ~default:2000

let no_crash_harms_what_was_told () =
  let check seed = if not (keeps_its_word right seed) then Alcotest.failf "SEED=%d fails" seed in
  match number "SEED" with
  | Some seed -> check seed
  | None -> List.iter check (List.init seeds succ)

let found design () =
  let wrong seed = not (keeps_its_word design seed) in
  Alcotest.(check bool) "found" true (List.exists wrong (List.init 200 succ))

(* {1 The rest of it} *)

let flush_waits_for_what_was_handed_over_before () =
  for seed = 1 to 200 do
    let disk = Disk.create ~seed 8 in
    let text = String.make 512 'x' in
    let write = Disk.write disk 3L [ Cstruct.of_string text ] in
    let flush = Disk.flush disk in
    while Lwt.is_sleeping flush do
      Lwt.wakeup_paused ()
    done;
    Alcotest.(check bool) "written" false (Lwt.is_sleeping write);
    Alcotest.(check string) "stable" text (String.sub (Disk.contents (Disk.crash disk)) 1536 512)
  done

let what_cannot_be_is_an_error () =
  let disk = Disk.create ~seed:1 8 in
  let run promise =
    while Lwt.is_sleeping promise do
      Lwt.wakeup_paused ()
    done;
    match Lwt.state promise with Return r -> r | Fail e -> raise e | Sleep -> assert false
  in
  let b n = [ Cstruct.create n ] in
  let check what expected result = Alcotest.(check bool) what true (result = Error expected) in
  check "past the end" `Out_of_range (run (Disk.write disk 7L (b 1024)));
  check "before the beginning" `Out_of_range (run (Disk.write disk (-1L) (b 512)));
  check "part of a sector" `Misaligned (run (Disk.write disk 0L (b 100)));
  check "secure" `Unimplemented (run (Disk.discard ~secure:true disk 0L 1L));
  Disk.break_down disk;
  check "a write" `Io (run (Disk.write disk 0L (b 512)));
  check "a flush" `Io (run (Disk.flush disk))

let () =
  let case name f = Alcotest.test_case name `Quick f in
  Alcotest.run "crash disk"
    [
      ( "cells",
        [
          case "no crash harms what was told" no_crash_harms_what_was_told;
          case "a missing flush is found" (found { right with flushed = false });
          case "writing in place is found" (found { right with slots = 1 });
        ] );
      ( "requests",
        [
          case "a flush waits for what was handed over before it"
            flush_waits_for_what_was_handed_over_before;
          case "what cannot be is an error" what_cannot_be_is_an_error;
        ] );
    ]
