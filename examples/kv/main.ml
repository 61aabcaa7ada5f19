(* The OCaml side of kv: the network and the protocol. The store is Rust's; [Rust] is generated from
   src/lib.rs. *)

open Lwt.Infix
open Mirust_stack
open Client

let network = Mirust_network.register ()

(* How long a client may take for a whole request, or to read what it is sent at a time; and how many bytes of a large
   request buy it another second. *)
let patience = 30_000_000_000L
let slowest = 32768

(* How long what a client sends is still taken, and discarded, after its connection was given up with an error: until
   it has sent all, it may not read what was wrong. *)
let farewell = 10_000_000_000L

(* How much of what has arrived is taken at a time: no more than what fits the collector's minor heap as one string. The
   rest stays with the stack, which bounds it for all connections, while this one waits until its client reads. *)
let slice = 2040

(* {1 Answers} *)

let get = Resp.letters "GET"
let set = Resp.letters "SET"
let too_large = "OOM a request of this size never fits into the memory for requests"
let no_room = "OOM for 30 seconds there was no memory for a request of this size"

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
      Reply.error c.replies ("Protocol error: " ^ m);
      `Refused
  | `Too_large ->
      Reply.failure c.replies too_large;
      `Refused
  | `Request -> (
      (* What follows is another request, with a time of its own: also if this one is refused. *)
      c.since <- 0;
      if not (admitted c) then (
        (* The rest of a transaction must not happen without it. *)
        Option.iter Transaction.cancel c.transaction;
        Reply.failure c.replies "OOM too many large requests at a time";
        answer c)
      else
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
      Reply.ok c.replies;
      `Last
  (* A browser, whose requests somebody else's page may have made: what follows could be commands. *)
  | ("POST" | "HOST:") :: _ ->
      Reply.error c.replies "this is not HTTP";
      `Refused
  | [ "SAVE" ] when Option.is_none c.transaction -> `Save
  | command :: arguments ->
      Commands.request c command arguments;
      answer c

(* What was made for a request for which memory ran out is garbage by now. *)
let try_to_answer c =
  try answer c
  with Out_of_memory ->
    c.wanted <- [];
    Reply.failure c.replies "OOM out of memory";
    `Refused

(* {1 Their turns} *)

let in_time f = Mirust.Time.with_timeout patience f

let end_of c how =
  give_back c;
  how c.flow

let abort c =
  end_of c (fun flow ->
      TCP.abort flow;
      Lwt.return_unit)

(* Nothing of what it has sent is kept meanwhile. *)
let refuse c =
  c.requests <- Resp.create ();
  end_of c (fun flow -> TCP.drain flow farewell)

(* The time left for a request of which a part is held; [c.since] is set, if it was not. A time limit applies only in
   the middle of a request, and to the whole of it, not to each piece. *)
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
  else if price > Pool.size c.memory.requests then Lwt.return_error too_large
  else
    in_time (fun () -> Pool.take c.memory.requests (price - c.reserved) >|= paid)
    >|= Result.map_error (fun `Timeout -> no_room)

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
  let held = Resp.held c.requests in
  Places.set_busy c.place (held > 0);
  if held = 0 then c.since <- 0;
  if TCP.unread c.flow > 0 then
    (* What has come in time is not too late, however long its turn was in coming. *)
    let* data = TCP.read_some c.flow ~most:slice in
    received c data
  else if held = 0 then TCP.read_some c.flow ~most:slice >>= received c
  else
    let left = time_left c held in
    if left <= 0 then abort c
    else
      Mirust.Time.with_timeout (Int64.of_int left) (fun () -> TCP.read_some c.flow ~most:slice)
      >>= function
      | Error `Timeout -> abort c
      | Ok data -> received c data

and received c = function
  | Ok `Eof | Error _ -> end_of c TCP.close
  | Ok (`Data data) ->
      Places.moved c.place;
      Resp.feed c.requests data;
      reply c

(* Replies wait until all that has arrived is answered, if there is room for them. *)
and reply c =
  match try_to_answer c with
  | `Done when TCP.unread c.flow > 0 -> go_on c
  (* Where nothing is said nothing is confirmed. And a wait for the disk between the look for memory and the wait for it
     could miss that there is some. *)
  | next when Reply.length c.replies = 0 -> after c next
  | next -> (
      let* safe = settled c in
      match safe with
      (* Nothing is confirmed that may be lost: the connection ends instead. Later clients are told why. *)
      | Error _ when c.changed -> abort c
      | Ok () | Error _ ->
          c.changed <- false;
          send c next)

and send c next =
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
      (match result with Ok () -> Reply.ok c.replies | Error e -> Reply.error c.replies e);
      reply c
  | `Done -> go_on c

and go_on c =
  let price = price c in
  if price = c.reserved then read c
  else
    let* paid = pay c price in
    match paid with
    | Ok () -> read c
    | Error why ->
        Reply.failure c.replies why;
        send c `Refused

let serve flow =
  TCP.set_nodelay flow true;
  let place = Places.take (Lazy.force places) ~leave:(fun () -> TCP.abort flow) in
  let c = create ~place flow in
  Lwt.finalize
    (fun () -> Lwt.catch (fun () -> read c) (fun e -> abort c >>= fun () -> Lwt.reraise e))
    (fun () -> Lwt.return (Places.give (Lazy.force places) place))

let store () = (Lazy.force memory).store

let load () =
  match Settings.disk () with
  | None -> Lwt.return_unit
  | Some (name, _) -> (
      Store.open_ (store ()) name (Settings.appendfsync ()) >|= function
      | Ok found -> Logs.app (fun m -> m "disk %s: %s" name found)
      | Error e ->
          Logs.err (fun m -> m "disk %s: %s" name e);
          exit 1)

let start () =
  load () >>= fun () ->
  network () >>= fun stack ->
  TCP.listen (Stack.tcp stack) ~port:Settings.port serve;
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "kv on port %d of %a" Settings.port
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  Lwt.pick [ Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ] >>= fun () ->
  Store.sync (store ()) >>= fun _ -> Stack.disconnect stack

let () = Mirust.Main.run (start ())
