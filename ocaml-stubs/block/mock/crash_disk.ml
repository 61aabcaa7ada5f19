open Lwt.Infix
open Mirust_block

type error = Block.error
type write_error = Block.write_error

let pp_error = Block.pp_error
let pp_write_error = Block.pp_write_error

type write = { at : int; (* in bytes *) bytes : string }
type state = Up | Broken | Crashed | Closed

type t = {
  sector_size : int;
  random : Random.State.t;
  stable : Bytes.t; (* what a crash cannot harm *)
  view : Bytes.t; (* what a reader sees *)
  mutable unflushed : write list; (* the latest first *)
  mutable waiting : write list;
  mutable state : state;
}

let on sector_size random stable =
  let view = Bytes.copy stable in
  { sector_size; random; stable; view; unflushed = []; waiting = []; state = Up }

let create ?(sector_size = 512) ~seed sectors =
  on sector_size (Random.State.make [| seed |]) (Bytes.make (sectors * sector_size) '\000')

let contents t = Bytes.to_string t.view
let break_down t = if t.state = Up then t.state <- Broken

let disconnect t =
  t.state <- Closed;
  Lwt.return_unit

let get_info t =
  let size_sectors = Int64.of_int (Bytes.length t.view / t.sector_size) in
  Lwt.return { Mirage_block.read_write = true; sector_size = t.sector_size; size_sectors }

(* {1 Requests} *)

let pauses t = 1 + Random.State.int t.random 4
let rec pause n = if n = 0 then Lwt.return_unit else Lwt.pause () >>= fun () -> pause (n - 1)

(* A request's turn comes; after a crash it never does. *)
let turn t =
  pause (pauses t) >>= fun () -> if t.state = Crashed then fst (Lwt.wait ()) else Lwt.return_unit

(* Where a request begins, in bytes, or what is wrong with it. *)
let place t sector lengths =
  let length = List.fold_left ( + ) 0 lengths in
  let last = Int64.of_int ((Bytes.length t.view - length) / t.sector_size) in
  if t.state = Closed then Error `Disconnected
  else if List.exists (fun length -> length mod t.sector_size <> 0) lengths then Error `Misaligned
  else if length > Bytes.length t.view || sector < 0L || sector > last then Error `Out_of_range
  else Ok (Int64.to_int sector * t.sector_size)

let read t sector buffers =
  match place t sector (List.map Cstruct.length buffers) with
  | Error (`Disconnected | `Misaligned | `Out_of_range) as e -> Lwt.return e
  | Ok at ->
      turn t >|= fun () ->
      let fill at b =
        Cstruct.blit_from_bytes t.view at b 0 (Cstruct.length b);
        at + Cstruct.length b
      in
      ignore (List.fold_left fill at buffers);
      Ok ()

let apply image { at; bytes } = Bytes.blit_string bytes 0 image at (String.length bytes)

let put t at bytes =
  let write = { at; bytes } in
  t.waiting <- write :: t.waiting;
  turn t >|= fun () ->
  t.waiting <- List.filter (( != ) write) t.waiting;
  if t.state = Broken then Error `Io
  else (
    apply t.view write;
    t.unflushed <- write :: t.unflushed;
    Ok ())

let write t sector buffers =
  match place t sector (List.map Cstruct.length buffers) with
  | Error (`Disconnected | `Misaligned | `Out_of_range) as e -> Lwt.return e
  | Ok at -> put t at (Cstruct.copyv buffers)

let zero t sector count =
  let length = Int64.to_int count * t.sector_size in
  match place t sector [ length ] with
  | Error (`Disconnected | `Misaligned | `Out_of_range) as e -> Lwt.return e
  | Ok at -> put t at (String.make length '\000')

let discard ?(secure = false) t sector count =
  match place t sector [ Int64.to_int count * t.sector_size ] with
  | Error (`Disconnected | `Misaligned | `Out_of_range) as e -> Lwt.return e
  | Ok _ -> turn t >|= fun () -> if secure then Error `Unimplemented else Ok ()

(* It waits by itself for the writes that were handed over before. *)
let flush t =
  let before = t.waiting in
  let rec wait () =
    turn t >>= fun () ->
    if List.exists (fun write -> List.memq write before) t.waiting then wait () else Lwt.return_unit
  in
  if t.state = Closed then Lwt.return_error `Disconnected
  else
    wait () >|= fun () ->
    if t.state = Broken then Error `Io
    else (
      List.iter (apply t.stable) (List.rev t.unflushed);
      t.unflushed <- [];
      Ok ())

(* {1 The crash} *)

let shuffle random list =
  List.map snd (List.sort compare (List.map (fun x -> (Random.State.bits random, x)) list))

let crash t =
  t.state <- Crashed;
  let random = t.random and image = Bytes.copy t.stable in
  let chance n = Random.State.int random n = 0 in
  (* Now and then everything has arrived in its order, or nothing. *)
  let mood = Random.State.int random 8 in
  let writes = List.rev_append t.unflushed t.waiting in
  let writes =
    if mood = 0 then writes else shuffle random (writes @ List.filter (fun _ -> chance 10) writes)
  in
  let arrive { at; bytes } =
    for sector = 0 to (String.length bytes / t.sector_size) - 1 do
      let skip = sector * t.sector_size in
      let length =
        if mood = 0 then t.sector_size
        else if mood = 1 || Random.State.int random 10 < 4 then 0
        else if chance 6 then Random.State.int random t.sector_size
        else t.sector_size
      in
      Bytes.blit_string bytes skip image (at + skip) length
    done
  in
  List.iter arrive writes;
  on t.sector_size random image
