(* An HTTP server with cohttp on our TCP, with routes in both languages. [Sha] is generated from src/lib.rs. *)

open Lwt.Infix
open Mirust_stack
module TCP = Stack.TCP
module Server = Cohttp_lwt.Make_server (Flow_io)
module Body = Cohttp_lwt.Body
module Kv = Mirage_kv_mem
module Places = Mirust.Places

let network = Mirust_network.register ()

(* The maximum size of a note, and the number of notes. *)
let longest_note = 16384
let most_notes = 64
let text ?(status = `OK) body = Server.respond_string ~status ~body ()

(* A body goes through Rust piece by piece, and is never in memory as a whole. *)
let hash place body =
  let hash = Sha.Hash.create () in
  let add piece =
    Places.moved place;
    Sha.Hash.add hash piece
  in
  Lwt_stream.iter add (Body.to_stream body) >>= fun () -> text (Sha.Hash.hex hash ^ "\n")

(* The body, unless it is too long. *)
let short body =
  let rec more text =
    if String.length text > longest_note then Lwt.return_none
    else
      Lwt_stream.get body >>= function
      | Some piece -> more (text ^ piece)
      | None -> Lwt.return_some text
  in
  more ""

let failed pp e = text ~status:`Bad_request (Fmt.str "%a\n" pp e)

(* A store with mirage-kv's interface, by path. *)
let note kv meth path body =
  let key = Mirage_kv.Key.v path in
  match meth with
  | `GET -> (
      Kv.get kv key >>= function
      | Ok value -> text value
      | Error (`Not_found _) -> Server.respond_not_found ()
      | Error e -> failed Kv.pp_error e)
  | `PUT -> (
      Kv.list kv (Mirage_kv.Key.parent key) >>= fun others ->
      match others with
      | Ok others when List.length others >= most_notes ->
          text ~status:`Insufficient_storage "There are too many\n"
      | Ok _ | Error _ -> (
          short (Body.to_stream body) >>= function
          | None -> text ~status:`Request_entity_too_large "That is too long\n"
          | Some value -> (
              Kv.set kv key value >>= function
              | Ok () -> text "Noted\n"
              | Error e -> failed Kv.pp_write_error e)))
  | `DELETE -> (
      Kv.remove kv key >>= function
      | Ok () -> text "Forgotten\n"
      | Error e -> failed Kv.pp_write_error e)
  | _ -> text ~status:`Method_not_allowed "GET, PUT or DELETE\n"

let answer kv place request body =
  let path = Uri.path (Cohttp.Request.uri request) in
  match (Cohttp.Request.meth request, String.split_on_char '/' path) with
  | `GET, [ ""; "" ] -> text (Printf.sprintf "Hello from cohttp, OCaml %s\n" Sys.ocaml_version)
  | `GET, [ ""; "rust"; name ] -> Sha.greeting name >>= text
  | (`PUT | `POST), [ ""; "sha256" ] -> hash place body
  | meth, [ ""; "notes"; name ] when name <> "" -> note kv meth name body
  | _ -> Server.respond_not_found ()

let respond kv (place, _) request body =
  Places.set_busy place true;
  Lwt.finalize
    (fun () -> answer kv place request body)
    (fun () ->
      Places.set_busy place false;
      Lwt.return (Places.served place))

(* An eighth of the memory is for incoming heads and bodies of notes. *)
let places =
  lazy
    (Places.of_memory (fun { total; _ } ->
         max 16 (total / 8 / (Flow_io.longest_head + longest_note))))

(* The server tells of each request that is none as an error, with its bytes: anybody could fill the console. *)
let hear_of_no_nonsense () =
  let tells src = Logs.Src.name src = "cohttp.lwt.server" in
  List.iter (fun src -> Logs.Src.set_level src None) (List.filter tells (Logs.Src.list ()))

let start () =
  network () >>= fun stack ->
  hear_of_no_nonsense ();
  Kv.connect () >>= fun kv ->
  let server = Server.make ~callback:(respond kv) () in
  TCP.listen (Stack.tcp stack) ~port:80 (fun flow ->
      let places = Lazy.force places in
      let place = Places.take places ~leave:(fun () -> TCP.abort flow) in
      let ic, oc = Flow_io.channels flow place in
      Lwt.finalize
        (fun () -> Server.callback server place ic oc)
        (fun () ->
          Places.give places place;
          TCP.close flow));
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "cohttp on port 80 of %a"
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  Lwt.pick [ Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ] >>= fun () ->
  Stack.disconnect stack

let () = Mirust.Main.run (start ())
