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

(* What each connection may use of both without asking, and how much of the received data is parsed at a time: no more
   than what fits the collector's minor heap as one string. *)
let small = 4096
let slice = 2040

(* The most memory that a connection takes before it has to reserve any, in bytes: the beginning of a request, in a
   buffer of twice the size, and replies being sent. An eighth of the memory is for that. *)
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

let rec delete b store n = function
  | [] -> integer b n
  | key :: keys -> (
      match Store.delete store key with
      | Ok existed -> delete b store (n + Bool.to_int existed) keys
      | Error e -> failure b e)

(* {1 Connections} *)

type connection = {
  place : Places.place;
  flow : TCP.flow;
  memory : memory;
  mutable requests : Resp.t;
  mutable reserved : int; (* of [memory.requests] *)
  replies : Reply.t;
  mutable large : int; (* of [memory.replies] *)
  mutable since : int; (* ns since boot, when the current request began; 0: there is none *)
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

let full = "OOM command not allowed when used memory > 'maxmemory'"

let refuse_change c =
  let why = Option.value (Store.failure c.memory.store) ~default:"" in
  failure c.replies ("MISCONF the disk has failed, and nothing is changed: " ^ why)

(* Sets the key at [key] of these bytes to the value at [value]. *)
let put c bytes key key_length value value_length =
  c.changed <- true;
  match Store.set c.memory.store bytes key key_length value value_length with
  | 0 -> ok c.replies
  | 1 -> failure c.replies full
  | _ -> refuse_change c

let execute c command arguments =
  let b = c.replies and store = c.memory.store in
  match (command, arguments) with
  | "BGREWRITEAOF", [] -> start_rewrite b store "Background append only file rewriting"
  | "BGSAVE", ([] | [ _ ]) -> start_rewrite b store "Background saving"
  | "LASTSAVE", [] -> integer b (Store.saved_at store)
  | "INFO", ([] | [ _ ]) -> bulk b (Some ("# Persistence\r\n" ^ Store.persistence store))
  | "GET", [ key ] -> c.wanted <- [ key ]
  | "SET", [ key; value ] ->
      (* Nobody writes to it. *)
      let bytes = Bytes.unsafe_of_string (key ^ value) in
      let n = String.length key in
      put c bytes 0 n n (String.length value)
  | "MGET", (_ :: _ as keys) ->
      array b (List.length keys);
      c.wanted <- keys
  | "DEL", (_ :: _ as keys) -> delete b store 0 keys
  | "EXISTS", (_ :: _ as keys) -> integer b (count (fun key -> Store.size store key >= 0) keys)
  | "INCR", [ key ] -> add b store key 1L
  | "DECR", [ key ] -> add b store key (-1L)
  | "INCRBY", [ key; by ] -> (
      match Int64.of_string_opt by with
      | Some by -> add b store key by
      | None -> error b "value is not an integer or out of range")
  | "DBSIZE", [] -> integer b (Store.length store)
  | ("FLUSHALL" | "FLUSHDB"), [] -> (
      match Store.clear store with Ok () -> ok b | Error e -> failure b e)
  | "PING", [] -> simple b "PONG"
  | ("PING" | "ECHO"), [ s ] -> bulk b (Some s)
  (* What redis-cli and redis-benchmark send when they start. *)
  | ("CONFIG" | "COMMAND"), _ -> array b 0
  | ("SELECT" | "CLIENT"), _ -> ok b
  | ("GET" | "SET" | "MGET" | "DEL" | "EXISTS" | "INCR" | "DECR" | "INCRBY" | "DBSIZE"), _ ->
      error b "wrong number of arguments"
  | _ -> error b "unknown command"

(* The same, but for changes, which are refused once the disk has failed. *)
let run c command arguments =
  if not (is_write command) then execute c command arguments
  else if Store.has_failed c.memory.store then refuse_change c
  else (
    c.changed <- true;
    execute c command arguments)

let end_transaction c =
  if Option.is_some c.transaction then (
    Pool.give c.memory.requests Transaction.most;
    c.transaction <- None)

(* Nobody else has a turn between the commands of a transaction. *)
let request c command arguments =
  let b = c.replies in
  match (command, arguments, c.transaction) with
  | "MULTI", [], None ->
      if Pool.try_take c.memory.requests Transaction.most then (
        c.transaction <- Some (Transaction.create ());
        ok b)
      else failure b "OOM too many transactions at a time"
  | "MULTI", [], Some _ -> error b "MULTI calls can not be nested"
  | ("EXEC" | "DISCARD"), [], None -> error b (command ^ " without MULTI")
  | "DISCARD", [], Some _ ->
      end_transaction c;
      ok b
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
let room c = small + c.large - Reply.length c.replies

let widen c by =
  Pool.try_take c.memory.replies by
  &&
  (c.large <- c.large + by;
   true)

(* The value of the key at [at] of these bytes, copied once, to where it is sent from; a large one only when there is
   memory for it: if not, false. *)
let rec value c bytes at length =
  let b = c.replies in
  let stop = Store.get c.memory.store bytes at length (Reply.buffer b) (Reply.stop b) in
  if stop >= 0 then (
    Reply.set_stop b stop;
    true)
  else
    let needed = -stop in
    if needed <= room c then (
      match Reply.reserve b needed with
      | () -> value c bytes at length
      | exception Out_of_memory ->
          failure b "OOM out of memory";
          true)
    else widen c (needed - room c) && value c bytes at length

(* The words of a request stay in memory until it is answered: for many of them, memory is reserved. *)
let admitted c =
  let price = Resp.whole_cost c.requests in
  price <= small || price <= c.reserved
  || Pool.try_take c.memory.requests (price - c.reserved)
     &&
     (c.reserved <- price;
      true)

let get = Resp.letters "GET"
let set = Resp.letters "SET"

(* Answers the requests that have arrived, in order: [`Done] if those were all, [`Enough] if the replies should be sent
   first, [`Last] if the connection ends with them, [`Refused] if the client may be sending more in vain,
   [`Save] if the client waits for the disk. *)
let rec answer c =
  if room c <= 0 && not (c.large = 0 && widen c enough) then `Enough
  else
    match c.wanted with
    | [] -> next_request c
    | key :: rest ->
        (* Nobody writes to it. *)
        if value c (Bytes.unsafe_of_string key) 0 (String.length key) then (
          c.wanted <- rest;
          answer c)
        else if Reply.length c.replies > 0 then `Enough
        else `Busy

and next_request c =
  let t = c.requests in
  match Resp.next t with
  | `More -> `Done
  | `Malformed m ->
      error c.replies ("Protocol error: " ^ m);
      `Refused
  | `Request when not (admitted c) ->
      (* The rest of a transaction must not happen without it. *)
      Option.iter Transaction.cancel c.transaction;
      failure c.replies "OOM too many large requests at a time";
      answer c
  | `Request -> (
      c.since <- 0;
      let command = Resp.command t and count = Resp.count t in
      match c.transaction with
      (* What is asked for most is answered from where it arrived. *)
      | None when command = get && count = 2 ->
          if not (value c (Resp.bytes t) (Resp.position t 1) (Resp.length t 1)) then
            c.wanted <- [ Resp.word t 1 ];
          answer c
      | None when command = set && count = 3 ->
          put c (Resp.bytes t) (Resp.position t 1) (Resp.length t 1) (Resp.position t 2)
            (Resp.length t 2);
          answer c
      | None | Some _ -> answer_words c (Resp.words t))

and answer_words c = function
  | [] -> answer c
  | "QUIT" :: _ ->
      ok c.replies;
      `Last
  | [ "SAVE" ] when Option.is_none c.transaction -> `Save
  | command :: arguments ->
      request c command arguments;
      answer c

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

(* The time left for a request of which a part is held; [c.since] is set, if it was not. A time limit applies only in the
   middle of a request, and to the whole of it, not to each piece. *)
let time_left c held =
  let now = Int64.to_int (Mirust.Mclock.elapsed_ns ()) in
  if c.since = 0 then c.since <- now;
  let allowed = Int64.to_int patience + (held * (1_000_000_000 / slowest)) in
  c.since + allowed - now

(* Memory for a large request is reserved before more of it is read. *)
let pay c price =
  let paid () = c.reserved <- price in
  if price <= c.reserved then (
    Pool.give c.memory.requests (c.reserved - price);
    Lwt.return_ok (paid ()))
  else in_time (fun () -> Pool.take c.memory.requests (price - c.reserved) >|= paid)

(* Before replies go out, the changes that they confirm must be as safe as [appendfsync] says; so must be changes by
   other clients that this one has seen. *)
let settled c =
  let store = c.memory.store in
  if Store.is_settled store then Lwt.return_ok () else Store.settle store

(* What waits for nothing goes on at once, without a promise. *)
let ( let* ) promise f =
  match Lwt.state promise with Lwt.Return v -> f v | Lwt.Fail _ | Lwt.Sleep -> promise >>= f

let sent c =
  Places.served c.place;
  if c.large > 0 then (
    Pool.give c.memory.replies c.large;
    c.large <- 0)

let rec read c =
  if not (Cstruct.is_empty c.arrived) then look c
  else
    let held = Resp.held c.requests in
    Places.set_busy c.place (held > 0);
    if held = 0 then (
      c.since <- 0;
      TCP.read c.flow >>= received c)
    else
      let left = time_left c held in
      if left <= 0 then abort c
      else
        Mirust.Time.with_timeout (Int64.of_int left) (fun () -> TCP.read c.flow) >>= function
        | Error `Timeout -> abort c
        | Ok data -> received c data

and received c = function
  | Ok `Eof | Error _ -> end_of c TCP.close
  | Ok (`Data data) ->
      Places.moved c.place;
      c.arrived <- data;
      look c

(* A slice of the received data, however much there is. *)
and look c =
  let length = Cstruct.length c.arrived in
  if length <= slice then (
    Resp.feed c.requests c.arrived;
    c.arrived <- Cstruct.empty)
  else (
    Resp.feed c.requests (Cstruct.sub c.arrived 0 slice);
    c.arrived <- Cstruct.shift c.arrived slice);
  reply c

(* Replies wait until all that has arrived is answered, if there is room for them. *)
and reply c =
  match try_to_answer c with
  | `Done when not (Cstruct.is_empty c.arrived) -> go_on c
  | next -> (
      let* safe = settled c in
      match safe with
      (* Nothing is confirmed that may be lost: the connection ends instead. Later clients are told why. *)
      | Error _ when c.changed -> abort c
      | Ok () | Error _ ->
          c.changed <- false;
          send c next)

and send c next =
  if Reply.length c.replies = 0 then after c next
  else
    let bytes = Reply.take c.replies in
    Places.set_busy c.place true;
    let written = TCP.write c.flow bytes in
    match Lwt.state written with
    | Lwt.Return (Ok ()) ->
        sent c;
        after c next
    | Lwt.Return (Error _) -> abort c
    | Lwt.Fail _ | Lwt.Sleep -> (
        in_time (fun () -> written) >>= function
        | Ok (Ok ()) ->
            sent c;
            after c next
        | Ok (Error _) | Error `Timeout -> abort c)

and after c = function
  | `Enough -> reply c
  | `Last -> end_of c TCP.close
  | `Refused -> refuse c
  | `Busy -> (
      in_time (fun () -> Pool.changed c.memory.replies) >>= function
      | Ok () -> reply c
      | Error `Timeout -> abort c)
  | `Save ->
      Store.save c.memory.store >>= fun result ->
      (match result with Ok () -> ok c.replies | Error e -> error c.replies e);
      reply c
  | `Done -> go_on c

and go_on c =
  let held = Resp.held c.requests in
  let price = if held > small then held else 0 in
  if price = c.reserved then read c
  else
    let* paid = pay c price in
    match paid with Ok () -> read c | Error `Timeout -> abort c

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
      replies = Reply.create ();
      large = 0;
      since = 0;
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
