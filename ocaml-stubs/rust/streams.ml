(* Listeners and connections. *)

open Mirust_stack
open Lwt.Infix
open Served
open Common
module TCP = Stack.TCP

let accept_queue = 1024

type listener = { tcp : TCP.t; port : int; bound : Ipaddr.t; accepted : TCP.flow Mailbox.t }

let offer listener flow =
  let dst, _ = TCP.src flow in
  if
    listener.accepted.closed
    || Mailbox.length listener.accepted >= accept_queue
    || not (is_for listener.bound dst)
  then TCP.abort flow
  else (
    TCP.defer_flush flow;
    Mailbox.put listener.accepted flow);
  Lwt.return_unit

let listen stack address backlog token =
  let bound, port = decode address in
  let tcp = Stack.tcp stack in
  let accepted = Mailbox.create token in
  let self = ref None in
  let try_port port =
    let take flow =
      match !self with Some l -> offer l flow | None -> Lwt.return (TCP.abort flow)
    in
    Result.is_ok (TCP.try_listen tcp ~port ~backlog take)
  in
  Result.map
    (fun port ->
      let listener = { tcp; port; bound; accepted } in
      self := Some listener;
      listener)
    (bind_port stack bound port try_port)

let accept listener = Mailbox.take listener.accepted
let listening listener = encode (listener.bound, listener.port)

let unlisten listener =
  listener.accepted.closed <- true;
  TCP.unlisten listener.tcp ~port:listener.port;
  Queue.iter TCP.abort listener.accepted.queue;
  Queue.clear listener.accepted.queue

let connect stack address =
  TCP.create_connection (Stack.tcp stack) (decode address) >|= Result.map_error tcp_error

(* Rust reads the values of this type: ffi/src/ocaml/view.rs. *)
type reading =
  | Wait
  | End
  | Data of Cstruct.t
  | Failed of error
  | Last of
      Cstruct.t (* there is nothing after it yet: Rust is told when there is, as after [Wait] *)

(* A connection, the tokens of its reader and writer, and what the reader has been told of and has not taken, which Rust
   does without a call: it finds it as the fourth field. *)
type stream = {
  flow : TCP.flow;
  reader : int;
  writer : int;
  mutable arrived : reading;
  mutable arrive : unit -> unit; (* what the flow calls when there is something to read *)
}

let peer s = encode (TCP.dst s.flow)
let local s = encode (TCP.src s.flow)
let info s = TCP.info s.flow

(* A piece that has been taken out of the connection and is lost, because memory ran out, would leave a hole in what
   Rust reads: there is to be nothing behind it but the error. *)
let or_abort f s =
  try f s
  with Out_of_memory as e ->
    TCP.abort s.flow;
    raise e

(* Told and perhaps not taken, in this turn. *)
let told : stream list ref = ref []

(* Most requests arrive in one piece, and their reader asks again at once: this answers in advance. *)
let rec take s =
  match TCP.try_read s.flow with
  | `Data b when TCP.would_wait s.flow ->
      await s;
      Last b
  | `Data b -> Data b
  | `Eof -> End
  | `Error e -> Failed (tcp_error e)
  | `Wait ->
      await s;
      Wait

and read s = or_abort take s
and await s = TCP.on_readable s.flow s.arrive

(* One piece at a time, and only to a reader that waits: the rest stays in the window. *)
let rec arrive s =
  match s.arrived with
  | Wait -> (
      match read s with
      | Wait -> ()
      | arrived -> tell s arrived
      | exception Out_of_memory -> tell s (Failed No_resources))
  (* There is something after it now. *)
  | Last b -> tell s (Data b)
  | (End | Data _ | Failed _) as arrived -> tell s arrived

and tell s arrived =
  s.arrived <- arrived;
  TCP.defer_flush s.flow;
  wake s.reader;
  told := s :: !told

let stream flow reader writer =
  let s = { flow; reader; writer; arrived = Wait; arrive = ignore } in
  s.arrive <- (fun () -> arrive s);
  s

(* Called for a stream whose reader does not read, or has to wait for the next turn. The engine no longer counts the
   piece that it holds, and compaction under pressure does not reach it. So a piece that is a small part of a receive
   buffer is copied, in order not to keep the buffer alive. *)
let release s =
  let small (view : Cstruct.t) buffer = 4 * Cstruct.length view <= Bigarray.Array1.dim buffer in
  let copy view =
    match Mirust_tcp.Pinned.compact ~device:(small view) [ view ] with
    | [ copy ] -> copy
    | _ -> view
  in
  match s.arrived with
  | Data view -> s.arrived <- Data (copy view)
  | Last view -> s.arrived <- Last (copy view)
  | Wait | End | Failed _ -> ()

let release_told () =
  match !told with
  | [] -> ()
  | streams ->
      told := [];
      List.iter release streams

let () = Mirust.Main.at_leave_iter release_told

external number : error -> int = "%identity"

let failed e = first_error - number (write_error e)

(* Room for this many octets; after 0 Rust is told when there is room. Negative as in {!Served}. *)
let room s =
  match TCP.write_room s.flow with
  | Error e -> failed e
  | Ok room when room > 0 -> room
  | Ok _ ->
      wake_after (TCP.writable s.flow) s.flow s.writer;
      0

(* Accepts all or nothing, and returns the remaining room. *)
let write s view =
  match TCP.write_room s.flow with
  | Error e -> failed e
  | Ok room when room < Cstruct.length view -> not_taken
  | Ok _ -> ( match TCP.put s.flow view with Error e -> failed e | Ok () -> room s)

let shutdown s side =
  if side <> Write then s.arrived <- Wait;
  ignore
    (TCP.shutdown s.flow (match side with Read -> `read | Write -> `write | Both -> `read_write))

(* Who closes without having read what has arrived resets the connection (RFC 2525 section 2.17). *)
let close s abort =
  let unread = match s.arrived with Data _ | Last _ -> true | Wait | End | Failed _ -> false in
  s.arrived <- Wait;
  if abort || unread then TCP.abort s.flow else ignore (TCP.close s.flow)

let set { flow; _ } setting value =
  match setting with
  | Nodelay -> TCP.set_nodelay flow (value <> 0)
  | Keepalive ->
      let keepalive ns =
        let second = 1_000_000_000L in
        { Tcpip.Tcp.Keepalive.after = Int64.of_int ns; interval = second; probes = 9 }
      in
      TCP.set_keepalive flow (if value = 0 then None else Some (keepalive value))
  | User_timeout -> TCP.set_user_timeout flow value
