(* The OCaml side of kv: the network and the protocol. The store is Rust's; [Rust] is generated from
   src/lib.rs. *)

open Lwt.Infix
open Mirust_stack
module TCP = Stack.TCP
module Store = Rust.Store

let network = Mirust_network.register ()
let port = 6379

(* {1 Memory}

   Shares of what the domain has: the store, large requests on their way in, large replies on their way
   out. Others can fill each of them, and none of them more than that. Small requests and replies come and
   go whatever else there is. *)

type memory = { store : Store.t; requests : Pool.t; replies : Pool.t }

let memory =
  lazy
    (let { Mirust.Budget.total; _ } = Mirust.Budget.get () in
     {
       store = Store.create (total / 5);
       requests = Pool.create (max (total / 20) Resp.max_string);
       replies = Pool.create (max (total / 20) Resp.max_string);
     })

let small = 16384

(* How long a client may be in the middle of a request or of taking its replies. *)
let patience = 30_000_000_000L

(* {1 Replies} *)

open Reply

let count f keys = List.length (List.filter f keys)

let add b store key by =
  match Store.increment store key by with Ok n -> integer64 b n | Error e -> failure b e

(* {1 Connections} *)

type connection = {
  flow : TCP.flow;
  memory : memory;
  requests : Resp.t;
  mutable reserved : int; (* of [memory.requests] *)
  replies : Buffer.t;
  mutable large : int; (* of [memory.replies] *)
  mutable wanted : string list; (* keys whose values are still to be sent *)
}

let execute c command arguments =
  let b = c.replies and store = c.memory.store in
  match (command, arguments) with
  | "GET", [ key ] -> c.wanted <- [ key ]
  | "SET", [ key; value ] -> (
      match Store.set store key value with Ok () -> simple b "OK" | Error e -> failure b e)
  | "MGET", (_ :: _ as keys) ->
      array b (List.length keys);
      c.wanted <- keys
  | "DEL", (_ :: _ as keys) -> integer b (count (Store.delete store) keys)
  | "EXISTS", (_ :: _ as keys) -> integer b (count (fun key -> Store.size store key >= 0) keys)
  | "INCR", [ key ] -> add b store key 1L
  | "DECR", [ key ] -> add b store key (-1L)
  | "INCRBY", [ key; by ] -> (
      match Int64.of_string_opt by with
      | Some by -> add b store key by
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

(* A value is copied when its turn to be sent has come, and if it is large when there is memory for it. *)
let value c key =
  let size = Store.size c.memory.store key in
  let has_room = size <= small || Pool.try_take c.memory.replies size in
  if has_room then (
    if size > small then c.large <- c.large + size;
    match Store.get c.memory.store key with
    | Ok value -> bulk c.replies value
    | Error e -> failure c.replies e);
  has_room

(* Bytes of replies that are sent before the next is made. *)
let enough = 65536

(* Answers requests that have arrived, in order: [`Done] if that were all, [`Enough] if it is time to send
   the replies first, [`Last] if the connection ends with them. *)
let rec answer c =
  if Buffer.length c.replies >= enough then `Enough
  else
    match c.wanted with
    | key :: rest ->
        if value c key then (
          c.wanted <- rest;
          answer c)
        else if Buffer.length c.replies > 0 then `Enough
        else `Busy
    | [] -> (
        match Resp.next c.requests with
        | `More -> `Done
        | `Malformed m ->
            error c.replies ("Protocol error: " ^ m);
            `Last
        | `Request [] -> answer c
        | `Request ("QUIT" :: _) ->
            simple c.replies "OK";
            `Last
        | `Request (command :: arguments) ->
            execute c command arguments;
            answer c)

(* What was made for a request that memory ran out for is garbage by now. *)
let try_to_answer c =
  try answer c
  with Out_of_memory ->
    c.wanted <- [];
    failure c.replies "OOM out of memory";
    `Last

(* {1 Their turns} *)

let in_time f = Mirust.Time.with_timeout patience f

let end_of c how =
  Pool.give c.memory.requests c.reserved;
  Pool.give c.memory.replies c.large;
  c.reserved <- 0;
  c.large <- 0;
  how c.flow

let abort c =
  end_of c (fun flow ->
      TCP.abort flow;
      Lwt.return_unit)

(* Only in the middle of a request a client has to hurry. *)
let receive c =
  let read () = TCP.read c.flow in
  if Resp.held c.requests > 0 then in_time read else read () >|= fun r -> Ok r

(* Large requests have to be paid for before more of them is read. *)
let pay c =
  let held = Resp.held c.requests in
  let price = if held > small then held else 0 in
  let paid () = c.reserved <- price in
  if price <= c.reserved then (
    Pool.give c.memory.requests (c.reserved - price);
    Lwt.return_ok (paid ()))
  else in_time (fun () -> Pool.take c.memory.requests (price - c.reserved) >|= paid)

let send c =
  if Buffer.length c.replies = 0 then Lwt.return_ok ()
  else
    let bytes = Cstruct.of_string (Buffer.contents c.replies) in
    Buffer.reset c.replies;
    in_time (fun () -> TCP.write c.flow bytes) >|= function
    | Ok (Ok ()) ->
        Pool.give c.memory.replies c.large;
        c.large <- 0;
        Ok ()
    | Ok (Error _) | Error `Timeout -> Error `Gone

let rec read c =
  receive c >>= function
  | Error `Timeout -> abort c
  | Ok (Ok `Eof | Error _) -> end_of c TCP.close
  | Ok (Ok (`Data data)) ->
      Resp.feed c.requests data;
      reply c

and reply c =
  let next = try_to_answer c in
  send c >>= function
  | Error `Gone -> abort c
  | Ok () -> (
      match next with
      | `Enough -> reply c
      | `Last -> end_of c TCP.close
      | `Busy -> (
          in_time (fun () -> Pool.changed c.memory.replies) >>= function
          | Ok () -> reply c
          | Error `Timeout -> abort c)
      | `Done -> ( pay c >>= function Ok () -> read c | Error `Timeout -> abort c))

let serve flow =
  TCP.set_nodelay flow true;
  let c =
    {
      flow;
      memory = Lazy.force memory;
      requests = Resp.create ();
      reserved = 0;
      replies = Buffer.create 128;
      large = 0;
      wanted = [];
    }
  in
  Lwt.catch (fun () -> read c) (fun e -> abort c >>= fun () -> Lwt.reraise e)

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
