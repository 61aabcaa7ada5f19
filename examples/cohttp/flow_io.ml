open Lwt.Infix
open Mirust_stack
module TCP = Stack.TCP
module Places = Mirust.Places

type 'a t = 'a Lwt.t
type conn = Places.place
type error = TCP.write_error

exception Broken of error

let ( >>= ) = Lwt.bind
let return = Lwt.return
let pp_error = TCP.pp_write_error

let catch f =
  Lwt.catch
    (fun () -> f () >|= Result.ok)
    (function Broken e -> Lwt.return (Error e) | e -> Lwt.reraise e)

(* [unread] was received and not consumed yet; [lines] is the number of bytes in lines since the last body or the
   last empty line, which ends a head. *)
type ic = { flow : TCP.flow; mutable unread : Cstruct.t; mutable lines : int }
type oc = { flow : TCP.flow; place : Places.place; pending : Buffer.t }

let channels flow place =
  ({ flow; unread = Cstruct.empty; lines = 0 }, { flow; place; pending = Buffer.create 1024 })

(* The limit for a head, and for what comes between the chunks of a body. Cohttp keeps all lines of a head. *)
let longest_head = 16384

(* The bytes that a write passes to the stack at a time. *)
let enough = 65536

(* Whether there is more. *)
let refill (ic : ic) =
  TCP.read ic.flow >|= function
  | Ok (`Data data) ->
      ic.unread <- data;
      true
  | Ok `Eof | Error _ -> false

let take (ic : ic) n =
  let taken = Cstruct.to_string ~len:n ic.unread in
  ic.unread <- Cstruct.shift ic.unread n;
  taken

let without_cr line =
  match String.length line with
  | n when n > 0 && line.[n - 1] = '\r' -> String.sub line 0 (n - 1)
  | _ -> line

let read_line (ic : ic) =
  let line = Buffer.create 80 in
  let rec more () =
    let length = Cstruct.length ic.unread in
    let rec newline i =
      if i = length then None
      else if Cstruct.get_char ic.unread i = '\n' then Some i
      else newline (i + 1)
    in
    let found = newline 0 in
    let here = match found with Some i -> i | None -> length in
    ic.lines <- ic.lines + here + 1;
    if ic.lines > longest_head then Lwt.return_none
    else (
      Buffer.add_string line (take ic here);
      match found with
      | Some _ ->
          ic.unread <- Cstruct.shift ic.unread 1;
          let line = without_cr (Buffer.contents line) in
          if line = "" then ic.lines <- 0;
          Lwt.return_some line
      | None -> refill ic >>= fun more_came -> if more_came then more () else Lwt.return_none)
  in
  more ()

let rec read (ic : ic) n =
  ic.lines <- 0;
  match Cstruct.length ic.unread with
  | _ when n <= 0 -> Lwt.return ""
  | 0 -> refill ic >>= fun more -> if more then read ic n else Lwt.return ""
  | length -> Lwt.return (take ic (min n length))

let flush oc =
  let text = Buffer.contents oc.pending in
  Buffer.clear oc.pending;
  if text = "" then Lwt.return_unit
  else (
    (* A client that does not read its answer is in the middle of something, however often it was served. *)
    Places.set_busy oc.place true;
    TCP.write oc.flow (Cstruct.of_string text) >>= function
    | Ok () ->
        Places.set_busy oc.place false;
        Places.moved oc.place;
        Lwt.return_unit
    | Error e -> Lwt.fail (Broken e))

let write oc text =
  Buffer.add_string oc.pending text;
  if Buffer.length oc.pending < enough then Lwt.return_unit else flush oc
