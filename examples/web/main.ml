(* A static web page on port 80. *)

open Lwt.Infix
open Mirust_stack
module TCP = Stack.TCP
module Places = Mirust.Places

let network = Mirust_network.register ()

let port =
  let doc = "The TCP port to listen on." in
  Mirust.Bootvar.register Cmdliner.Arg.(value & opt int 80 & info [ "port" ] ~doc)

(* {1 A connection} *)

(* How long a client may take for a whole request, for an answer, and between two requests. *)
let hurry = Duration.of_sec 10
let pause = Duration.of_sec 60

(* What is received and not yet answered, part of a request or several that a client sent at once, is no more than
   this: those who send more do not wait for answers. *)
let max_waiting = 2 * Http.max_head

let write flow text =
  Mirust.Time.with_timeout hurry (fun () -> TCP.write flow (Cstruct.of_string text)) >|= function
  | Ok (Ok ()) -> Ok ()
  | Ok (Error _) -> Error `Gone
  | Error `Timeout ->
      TCP.abort flow;
      Error `Gone

(* The request that begins [text] and what follows it, of which some may have come already. *)
let rec read flow text =
  match Http.parse text with
  | `Bad -> Lwt.return `Bad
  | `Request (request, length) ->
      Lwt.return (`Request (request, String.sub text length (String.length text - length)))
  | `More -> (
      TCP.read flow >>= function
      | Ok (`Data data) when String.length text + Cstruct.length data > max_waiting ->
          Lwt.return `Bad
      | Ok (`Data data) -> read flow (text ^ Cstruct.to_string data)
      | Ok `Eof | Error _ -> Lwt.return `End)

(* The first byte may be long in coming, and then all of the request has one time. *)
let request place flow text =
  let begun =
    if text <> "" then Lwt.return_ok (`Text text)
    else
      Mirust.Time.with_timeout pause (fun () -> TCP.read flow) >|= function
      | Ok (Ok (`Data data)) when Cstruct.length data <= max_waiting ->
          Ok (`Text (Cstruct.to_string data))
      | Ok (Ok (`Data _)) -> Ok `Bad
      | Ok (Ok `Eof | Error _) -> Ok `End
      | Error `Timeout -> Error `Timeout
  in
  begun >>= function
  | Ok (`Text text) ->
      Places.set_busy place true;
      Mirust.Time.with_timeout hurry (fun () -> read flow text)
  | Ok ((`Bad | `End) as other) -> Lwt.return_ok other
  | Error `Timeout -> Lwt.return_error `Timeout

let rec serve place flow text =
  Places.set_busy place (text <> "");
  request place flow text >>= function
  | Error `Timeout -> Lwt.return (TCP.abort flow)
  | Ok `End -> TCP.close flow
  | Ok `Bad -> write flow Http.bad_request >>= fun _ -> TCP.close flow
  | Ok (`Request (request, rest)) -> (
      write flow (Http.respond Pages.all request) >>= function
      | Ok () when request.Http.keep_alive ->
          Places.served place;
          serve place flow rest
      | Ok () | Error `Gone -> TCP.close flow)

(* {1 All of them} *)

(* A tenth of the memory for what is waiting. *)
let places = lazy (Places.of_memory (fun { total; _ } -> max 16 (total / 10 / max_waiting)))

let accept flow =
  let places = Lazy.force places in
  let place = Places.take places ~leave:(fun () -> TCP.abort flow) in
  Lwt.finalize (fun () -> serve place flow "") (fun () -> Lwt.return (Places.give places place))

let start () =
  network () >>= fun stack ->
  TCP.listen (Stack.tcp stack) ~port:(port ()) accept;
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "http on port %d of %a" (port ())
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  Lwt.pick [ Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ] >>= fun () ->
  Stack.disconnect stack

let () = Mirust.Main.run (start ())
