(* The OCaml side of kv: the network and the protocol. The store is Rust's; [Rust] is generated from
   src/lib.rs. *)

open Lwt.Infix
open Mirust_stack
module TCP = Stack.TCP
module Store = Rust.Store

let network = Mirust_network.register ()
let port = 6379
let store = Store.create ()

(* {1 Replies} *)

let simple b s = Printf.bprintf b "+%s\r\n" s
let error b s = Printf.bprintf b "-ERR %s\r\n" s
let integer b n = Printf.bprintf b ":%d\r\n" n

let bulk b = function
  | None -> Buffer.add_string b "$-1\r\n"
  | Some s ->
      Printf.bprintf b "$%d\r\n" (String.length s);
      Buffer.add_string b s;
      Buffer.add_string b "\r\n"

let count f keys = List.length (List.filter f keys)

let add b key by =
  match Store.increment store key by with
  | Ok n -> Printf.bprintf b ":%Ld\r\n" n
  | Error e -> error b e

let execute b command arguments =
  match (String.uppercase_ascii command, arguments) with
  | "GET", [ key ] -> bulk b (Store.get store key)
  | "SET", [ key; value ] ->
      Store.set store key value;
      simple b "OK"
  | "MGET", (_ :: _ as keys) ->
      Printf.bprintf b "*%d\r\n" (List.length keys);
      List.iter (fun key -> bulk b (Store.get store key)) keys
  | "DEL", (_ :: _ as keys) -> integer b (count (Store.delete store) keys)
  | "EXISTS", (_ :: _ as keys) -> integer b (count (fun key -> Store.get store key <> None) keys)
  | "INCR", [ key ] -> add b key 1L
  | "DECR", [ key ] -> add b key (-1L)
  | "INCRBY", [ key; by ] -> (
      match Int64.of_string_opt by with
      | Some by -> add b key by
      | None -> error b "value is not an integer or out of range")
  | "DBSIZE", [] -> integer b (Store.length store)
  | ("FLUSHALL" | "FLUSHDB"), [] ->
      Store.clear store;
      simple b "OK"
  | "PING", [] -> simple b "PONG"
  | ("PING" | "ECHO"), [ s ] -> bulk b (Some s)
  (* What redis-cli and redis-benchmark ask for at their start. *)
  | ("CONFIG" | "COMMAND"), _ -> Buffer.add_string b "*0\r\n"
  | ("SELECT" | "CLIENT"), _ -> simple b "OK"
  | ("GET" | "SET" | "MGET" | "DEL" | "EXISTS" | "INCR" | "DECR" | "INCRBY" | "DBSIZE"), _ ->
      error b "wrong number of arguments"
  | _ -> error b "unknown command"

(* {1 Connections} *)

(* Bytes of replies that are sent before the next is made. *)
let enough = 65536

(* Answers requests that have arrived, in order: [`Done] if that were all, [`Enough] if it is time to send
   the replies first, [`Last] if the connection ends with them. *)
let rec answer b requests =
  if Buffer.length b >= enough then `Enough
  else
    match Resp.next requests with
    | `More -> `Done
    | `Malformed m ->
        error b ("Protocol error: " ^ m);
        `Last
    | `Request [] -> answer b requests
    | `Request (command :: _) when String.uppercase_ascii command = "QUIT" ->
        simple b "OK";
        `Last
    | `Request (command :: arguments) ->
        execute b command arguments;
        answer b requests

let serve flow =
  TCP.set_nodelay flow true;
  let requests = Resp.create () and replies = Buffer.create 4096 in
  let rec read () =
    TCP.read flow >>= function
    | Ok `Eof | Error _ -> TCP.close flow
    | Ok (`Data data) ->
        Resp.feed requests data;
        reply ()
  and reply () =
    Buffer.clear replies;
    let next = answer replies requests in
    let bytes = Cstruct.of_string (Buffer.contents replies) in
    (if Cstruct.is_empty bytes then Lwt.return_ok () else TCP.write flow bytes) >>= function
    | Error _ -> TCP.close flow
    | Ok () -> ( match next with `Done -> read () | `Enough -> reply () | `Last -> TCP.close flow)
  in
  read ()

let start () =
  network () >>= fun stack ->
  TCP.listen (Stack.tcp stack) ~port serve;
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "kv on port %d of %a" port
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  Lwt.pick [ Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ] >>= fun () ->
  Stack.disconnect stack

let () = Mirust.Main.run (start ())
