(* The OCaml side of kv: the network and the protocol. The store is Rust's; [Rust] is generated from
   src/lib.rs. *)

open Lwt.Infix
open Mirust_stack
module TCP = Stack.TCP
module Places = Mirust.Places
module Store = Rust.Store

let network = Mirust_network.register ()

let disk =
  Mirust.Bootvar.register
    Cmdliner.Arg.(
      value
      & opt (some (pair ~sep:':' string string)) None
      & info [ "disk" ] ~docv:"data:DEVICE"
          ~doc:
            "The disk that the store's log is on: xvda and the like on Xen, a path on Linux. \
             Without one nothing outlives the program.")

let appendfsync =
  let policies = List.map (fun name -> (name, name)) [ "always"; "everysec"; "no" ] in
  Mirust.Bootvar.register
    Cmdliner.Arg.(
      value
      & opt (enum policies) "everysec"
      & info [ "appendfsync" ] ~docv:"WHEN"
          ~doc:
            "When the log is made stable: before a client is told ($(b,always)), once in a second \
             ($(b,everysec)), or when the disk likes ($(b,no)).")

let port = 6379

(* {1 Memory}

   Shares of what the domain has: the store, large requests on their way in, large replies on their way
   out. Others can fill each of them, and none of them more than that. Small requests and replies come and
   go whatever else there is. *)

type memory = { store : Store.t; requests : Pool.t; replies : Pool.t; mutable max_string : int }

let memory =
  lazy
    (let t =
       { store = Store.create 0; requests = Pool.create 0; replies = Pool.create 0; max_string = 0 }
     in
     Mirust.Budget.follow (fun { total; _ } ->
         let share = total / 20 in
         Store.set_limit t.store (total / 5);
         Pool.resize t.requests share;
         Pool.resize t.replies share;
         t.max_string <- min Resp.max_string share);
     t)

(* What each connection may use of both without asking, and how much of the received data is parsed at a time. *)
let small = 4096
let slice = 2048

(* The most memory that a connection takes before it has to reserve any, in bytes: the beginning of a request, in a
   buffer of twice the size or as a list of words, and replies being sent. An eighth of the memory is for that. *)
let places = lazy (Places.of_memory (fun { total; _ } -> max 16 (total / 8 / (4 * small))))

(* How long a client may take for a whole request, or to read what it is sent at a time; and how many bytes of a large
   request buy it another second. *)
let patience = 30_000_000_000L
let slowest = 32768

(* How long what a client sends is still taken, and discarded, after its connection was given up with an error: until
   it has sent all, it may not read what was wrong. *)
let farewell = 10_000_000_000L

(* {1 Replies} *)

open Reply

let count f keys = List.length (List.filter f keys)

let add b store key by =
  match Store.increment store key by with Ok n -> integer64 b n | Error e -> failure b e

(* {1 Connections} *)

type connection = {
  place : Places.place;
  flow : TCP.flow;
  memory : memory;
  mutable requests : Resp.t;
  mutable reserved : int; (* of [memory.requests] *)
  replies : Buffer.t;
  mutable large : int; (* of [memory.replies] *)
  mutable since : int64; (* when the current request began; 0: there is none *)
  mutable arrived : Cstruct.t; (* and not parsed yet *)
  mutable wanted : string list; (* keys whose values are still to be sent *)
  mutable changed : bool; (* pending replies confirm changes of the store *)
  mutable transaction : Transaction.t option; (* the client has sent MULTI; memory is reserved *)
}

(* Commands that change the store. *)
let is_write = function
  | "SET" | "DEL" | "INCR" | "DECR" | "INCRBY" | "FLUSHALL" | "FLUSHDB" -> true
  | _ -> false

let start_rewrite b store words =
  match Store.rewrite store with
  | Ok true -> simple b (words ^ " started")
  | Ok false -> error b "the log is being written anew already"
  | Error e -> error b e

let execute c command arguments =
  let b = c.replies and store = c.memory.store in
  match (command, arguments) with
  | "BGREWRITEAOF", [] -> start_rewrite b store "Background append only file rewriting"
  | "BGSAVE", ([] | [ _ ]) -> start_rewrite b store "Background saving"
  | "LASTSAVE", [] -> integer b (Store.saved_at store)
  | "INFO", ([] | [ _ ]) -> bulk b (Some ("# Persistence\r\n" ^ Store.persistence store))
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
  (* What redis-cli and redis-benchmark send when they start. *)
  | ("CONFIG" | "COMMAND"), _ -> Buffer.add_string b "*0\r\n"
  | ("SELECT" | "CLIENT"), _ -> simple b "OK"
  | ("GET" | "SET" | "MGET" | "DEL" | "EXISTS" | "INCR" | "DECR" | "INCRBY" | "DBSIZE"), _ ->
      error b "wrong number of arguments"
  | _ -> error b "unknown command"

(* The same for changes, which are refused once the disk has failed. *)
let change c command arguments =
  match Store.failure c.memory.store with
  | None ->
      c.changed <- true;
      execute c command arguments
  | Some why -> failure c.replies ("MISCONF the disk has failed, and nothing is changed: " ^ why)

let run c command arguments = (if is_write command then change else execute) c command arguments

let end_transaction c =
  if c.transaction <> None then Pool.give c.memory.requests Transaction.most;
  c.transaction <- None

(* Nobody else has a turn between the commands of a transaction. *)
let request c command arguments =
  let b = c.replies in
  match (command, arguments, c.transaction) with
  | "MULTI", [], None ->
      if Pool.try_take c.memory.requests Transaction.most then (
        c.transaction <- Some (Transaction.create ());
        simple b "OK")
      else failure b "OOM too many transactions at a time"
  | "MULTI", [], Some _ -> error b "MULTI calls can not be nested"
  | ("EXEC" | "DISCARD"), [], None -> error b (command ^ " without MULTI")
  | "DISCARD", [], Some _ ->
      end_transaction c;
      simple b "OK"
  | "EXEC", [], Some t -> (
      end_transaction c;
      match Transaction.commands t with
      | None -> failure b "EXECABORT Transaction discarded because of previous errors."
      | Some commands ->
          array b (List.length commands);
          List.iter (fun words -> run c (List.hd words) (List.tl words)) commands)
  | _, _, Some t -> (
      match Transaction.add t (command :: arguments) with
      | Ok () -> simple b "QUEUED"
      | Error e -> error b e)
  | _, _, None -> run c command arguments

(* How many bytes of replies are collected before they are sent: a few, or many if there is memory. *)
let enough = 65536
let room c = small + c.large - Buffer.length c.replies

let widen c by =
  Pool.try_take c.memory.replies by
  &&
  (c.large <- c.large + by;
   true)

(* A value is copied when it is about to be sent; a large one only when there is memory for it. *)
let rec value c key =
  match Store.get c.memory.store key (room c) with
  | Ok value ->
      bulk c.replies value;
      true
  | Error length when length <= room c ->
      failure c.replies "OOM out of memory";
      true
  | Error length -> widen c (length - room c) && value c key

(* The words of a request stay in memory until it is answered: for many of them, memory is reserved. *)
let admitted c words =
  let price = Resp.cost words in
  price <= max small c.reserved
  || Pool.try_take c.memory.requests (price - c.reserved)
     &&
     (c.reserved <- price;
      true)

(* Answers the requests that have arrived, in order: [`Done] if those were all, [`Enough] if the replies should be sent
   first, [`Last] if the connection ends with them, [`Refused] if the client may be sending more in vain,
   [`Save] if the client waits for the disk. *)
let rec answer c =
  if room c <= 0 && not (c.large = 0 && widen c enough) then `Enough
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
            `Refused
        | `Request [] -> answer c
        | `Request words when not (admitted c words) ->
            (* The rest of a transaction must not happen without it. *)
            Option.iter Transaction.cancel c.transaction;
            failure c.replies "OOM too many large requests at a time";
            answer c
        | `Request ("QUIT" :: _) ->
            simple c.replies "OK";
            `Last
        | `Request [ "SAVE" ] when c.transaction = None -> `Save
        | `Request (command :: arguments) ->
            c.since <- 0L;
            request c command arguments;
            answer c)

(* What was made for a request for which memory ran out is garbage by now. *)
let try_to_answer c =
  try answer c
  with Out_of_memory ->
    c.wanted <- [];
    failure c.replies "OOM out of memory";
    `Refused

(* {1 Their turns} *)

let in_time f = Mirust.Time.with_timeout patience f

let end_of c how =
  end_transaction c;
  Pool.give c.memory.requests c.reserved;
  Pool.give c.memory.replies c.large;
  c.reserved <- 0;
  c.large <- 0;
  how c.flow

let abort c =
  end_of c (fun flow ->
      TCP.abort flow;
      Lwt.return_unit)

(* Nothing of what it has sent is kept meanwhile. *)
let refuse c =
  c.requests <- Resp.create ~max_string:0 ();
  c.arrived <- Cstruct.empty;
  end_of c (fun flow -> TCP.drain flow farewell)

(* A time limit applies only in the middle of a request, and to the whole of it, not to each piece. *)
let receive c =
  let read () = TCP.read c.flow in
  let held = Resp.held c.requests in
  Places.set_busy c.place (held > 0);
  if held = 0 then (
    c.since <- 0L;
    read () >|= fun r -> Ok r)
  else
    let now = Mirust.Mclock.elapsed_ns () in
    if c.since = 0L then c.since <- now;
    let allowed = Int64.add patience (Int64.of_int (held * (1_000_000_000 / slowest))) in
    let left = Int64.sub (Int64.add c.since allowed) now in
    if left <= 0L then Lwt.return_error `Timeout else Mirust.Time.with_timeout left read

(* Memory for a large request is reserved before more of it is read. *)
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
    Places.set_busy c.place true;
    in_time (fun () -> TCP.write c.flow bytes) >|= function
    | Ok (Ok ()) ->
        Places.served c.place;
        Pool.give c.memory.replies c.large;
        c.large <- 0;
        Ok ()
    | Ok (Error _) | Error `Timeout -> Error `Gone

(* Before replies go out, the changes that they confirm must be as safe as [appendfsync] says; so must be changes by
   other clients that this one has seen. *)
let settled c =
  let store = c.memory.store in
  if Store.is_settled store then Lwt.return_ok () else Store.settle store

let rec read c =
  if not (Cstruct.is_empty c.arrived) then look c
  else
    receive c >>= function
    | Error `Timeout -> abort c
    | Ok (Ok `Eof | Error _) -> end_of c TCP.close
    | Ok (Ok (`Data data)) ->
        Places.moved c.place;
        c.arrived <- data;
        look c

(* A slice of the received data, however much there is. *)
and look c =
  let now, later = Cstruct.split c.arrived (min slice (Cstruct.length c.arrived)) in
  c.arrived <- later;
  Resp.feed c.requests now;
  reply c

and reply c =
  let next = try_to_answer c in
  let wait = next = `Done && not (Cstruct.is_empty c.arrived) in
  (if wait then Lwt.return_ok () else settled c) >>= function
  (* Nothing is confirmed that may be lost: the connection ends instead. Later clients are told why. *)
  | Error _ when c.changed -> abort c
  | Ok () | Error _ -> (
      if not wait then c.changed <- false;
      (if wait then Lwt.return_ok () else send c) >>= function
      | Error `Gone -> abort c
      | Ok () -> (
          match next with
          | `Enough -> reply c
          | `Last -> end_of c TCP.close
          | `Refused -> refuse c
          | `Busy -> (
              in_time (fun () -> Pool.changed c.memory.replies) >>= function
              | Ok () -> reply c
              | Error `Timeout -> abort c)
          | `Save ->
              c.since <- 0L;
              Store.save c.memory.store >>= fun result ->
              (match result with Ok () -> simple c.replies "OK" | Error e -> error c.replies e);
              reply c
          | `Done -> ( pay c >>= function Ok () -> read c | Error `Timeout -> abort c)))

let serve flow =
  TCP.set_nodelay flow true;
  let memory = Lazy.force memory and places = Lazy.force places in
  let c =
    {
      place = Places.take places ~leave:(fun () -> TCP.abort flow);
      flow;
      memory;
      requests = Resp.create ~max_string:memory.max_string ();
      reserved = 0;
      replies = Buffer.create 128;
      large = 0;
      since = 0L;
      arrived = Cstruct.empty;
      wanted = [];
      changed = false;
      transaction = None;
    }
  in
  Lwt.finalize
    (fun () -> Lwt.catch (fun () -> read c) (fun e -> abort c >>= fun () -> Lwt.reraise e))
    (fun () -> Lwt.return (Places.give places c.place))

let store () = (Lazy.force memory).store

let load () =
  match disk () with
  | None -> Lwt.return_unit
  | Some (name, _) -> (
      Store.open_ (store ()) name (appendfsync ()) >|= function
      | Ok found -> Logs.app (fun m -> m "disk %s: %s" name found)
      | Error e ->
          Logs.err (fun m -> m "disk %s: %s" name e);
          exit 1)

let start () =
  load () >>= fun () ->
  network () >>= fun stack ->
  TCP.listen (Stack.tcp stack) ~port serve;
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "kv on port %d of %a" port
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  Lwt.pick [ Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ] >>= fun () ->
  Store.sync (store ()) >>= fun _ -> Stack.disconnect stack

let () = Mirust.Main.run (start ())
