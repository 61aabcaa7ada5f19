(* A client of xenstore that speaks the protocol itself, as Mirage's does. *)

open Lwt.Infix

type page = Grants.page

external evtchn : unit -> int = "mirage_xen_get_xenstore_evtchn"
external get_page : unit -> page = "mirage_xen_get_xenstore_page"
external console_evtchn : unit -> int = "mirage_xen_get_console_evtchn"
external console_page : unit -> page = "mirage_xen_get_console_page"

let get32 (p : page) at =
  let byte i = Int32.shift_left (Int32.of_int (Char.code p.{at + i})) (8 * i) in
  List.fold_left (fun n i -> Int32.logor n (byte i)) 0l [ 0; 1; 2; 3 ]

let set32 (p : page) at n =
  for i = 0 to 3 do
    p.{at + i} <- Char.chr (Int32.to_int (Int32.shift_right_logical n (8 * i)) land 255)
  done

type t = {
  page : page;
  port : int;
  replies : (int, (int * string) Lwt.u) Hashtbl.t;
  events : (string * string) Lwt_stream.t;
  event : (string * string) option -> unit;
  sending : Lwt_mutex.t;
  mutable next : int;
  mutable over : bool;
}

(* Offsets of indices: requests' consumer and producer, replies' consumer and producer. *)
let req_cons, req_prod, rsp_cons, rsp_prod = (2048, 2052, 2056, 2060)
let distance prod cons = Int32.to_int (Int32.sub prod cons)

let rec write t s ofs =
  if ofs = String.length s then Lwt.return_unit
  else
    let seen = Eventchn.counts.(t.port) in
    let prod = get32 t.page req_prod in
    let room = 1024 - distance prod (get32 t.page req_cons) in
    let n = min room (String.length s - ofs) in
    for i = 0 to n - 1 do
      t.page.{(Int32.to_int prod + i) land 1023} <- s.[ofs + i]
    done;
    set32 t.page req_prod (Int32.add prod (Int32.of_int n));
    if n > 0 then (
      Eventchn.notify 0 t.port;
      write t s (ofs + n))
    else Eventchn.after t.port seen >>= fun _ -> write t s ofs

let rec read t b ofs =
  if t.over then fst (Lwt.wait ())
  else if ofs = Bytes.length b then Lwt.return_unit
  else
    let seen = Eventchn.counts.(t.port) in
    let cons = get32 t.page rsp_cons in
    let n = min (distance (get32 t.page rsp_prod) cons) (Bytes.length b - ofs) in
    for i = 0 to n - 1 do
      Bytes.set b (ofs + i) t.page.{1024 + ((Int32.to_int cons + i) land 1023)}
    done;
    set32 t.page rsp_cons (Int32.add cons (Int32.of_int n));
    if n > 0 then (
      Eventchn.notify 0 t.port;
      read t b (ofs + n))
    else Eventchn.after t.port seen >>= fun _ -> read t b ofs

let rec receive t =
  let header = Bytes.create 16 in
  read t header 0 >>= fun () ->
  let word i = Int32.to_int (Bytes.get_int32_le header (4 * i)) in
  let payload = Bytes.create (word 3) in
  read t payload 0 >>= fun () ->
  let payload = Bytes.to_string payload in
  (if word 0 = 15 then
     match String.split_on_char '\000' payload with
     | path :: token :: _ -> t.event (Some (path, token))
     | _ -> failwith "an event of another shape"
   else
     match Hashtbl.find_opt t.replies (word 1) with
     | Some u ->
         Hashtbl.remove t.replies (word 1);
         Lwt.wakeup_later u (word 0, payload)
     | None -> failwith "a reply to no request");
  receive t

let connect () =
  let events, event = Lwt_stream.create () in
  let page = get_page () and port = evtchn () in
  let replies = Hashtbl.create 8 in
  let sending = Lwt_mutex.create () in
  let t = { page; port; replies; events; event; sending; next = 1; over = false } in
  Eventchn.unmask 0 port;
  Lwt.async (fun () -> receive t);
  t

(* Nothing is read any more: the page is for somebody else. *)
let leave t = t.over <- true

exception Error of string

let message kind ~id ~tx payload =
  let header = Bytes.create 16 in
  let set i n = Bytes.set_int32_le header (4 * i) (Int32.of_int n) in
  List.iteri set [ kind; id; tx; String.length payload ];
  Bytes.to_string header ^ payload

let request t ?(tx = 0) kind payload =
  let id = t.next in
  t.next <- id + 1;
  let reply, u = Lwt.wait () in
  Hashtbl.replace t.replies id u;
  Lwt_mutex.with_lock t.sending (fun () -> write t (message kind ~id ~tx payload) 0) >>= fun () ->
  reply >|= fun (answered, payload) ->
  if answered = 16 then raise (Error payload) else if answered <> kind then failwith "another kind";
  payload

let get t ?tx path = request t ?tx 2 (path ^ "\000")
let set t ?tx path value = request t ?tx 11 (path ^ "\000" ^ value) >|= ignore
let watch t path token = request t 4 (path ^ "\000" ^ token ^ "\000") >|= ignore

let rec transaction t f =
  request t 6 "\000" >>= fun id ->
  let tx = int_of_string (String.sub id 0 (String.length id - 1)) in
  f tx >>= fun () ->
  Lwt.catch
    (fun () -> request t ~tx 7 "T\000" >|= ignore)
    (function Error "EAGAIN\000" -> transaction t f | e -> Lwt.reraise e)
