(* A static web page on port 80. *)

open Lwt.Infix
open Mirust_stack
module TCP = Stack.TCP
module Places = Mirust.Places

let network = Mirust_network.register ()

let port =
  let doc = "The TCP port to listen on." in
  let number = Mirust.Bootvar.number ~least:1 ~most:65535 in
  Mirust.Bootvar.register Cmdliner.Arg.(value & opt number 80 & info [ "port" ] ~docv:"PORT" ~doc)

(* {1 A connection} *)

(* How long a client may take for a whole request, for an answer, and between two requests. *)
let hurry = Duration.of_sec 10
let pause = Duration.of_sec 60

(* The limit for what is received and not yet answered: a part of a request, or several that a client sent at once.
   Clients that send more do not wait for answers. *)
let max_waiting = 2 * Http.max_head

type connection = { flow : TCP.flow; place : Places.place; limit : Mirust.Time.Deadline.t }

let may_take { limit; _ } time = Mirust.Time.Deadline.set limit time

let write c answer =
  may_take c hurry;
  TCP.write c.flow answer

let pages = Http.pages Pages.all

(* The request that begins [text] and what follows it, of which some may have come already. The first byte may be long
   in coming, and then all of the request has one time. *)
let rec read c text =
  match Http.parse text with
  | `Bad -> Lwt.return `Bad
  | `Request (request, length) ->
      Lwt.return (`Request (request, String.sub text length (String.length text - length)))
  | `More -> (
      TCP.read c.flow >>= function
      | Ok (`Data data) when String.length text + Cstruct.length data > max_waiting ->
          Lwt.return `Bad
      | Ok (`Data data) ->
          if text = "" then begun c;
          read c (text ^ Cstruct.to_string data)
      | Ok `Eof | Error _ -> Lwt.return `End)

and begun c =
  Places.set_busy c.place true;
  may_take c hurry

let rec serve c text =
  Places.set_busy c.place (text <> "");
  may_take c (if text = "" then pause else hurry);
  read c text >>= function
  | `End -> TCP.close c.flow
  | `Bad ->
      (* It may be sending more, and not read before it has. *)
      write c Http.bad_request >>= fun _ -> TCP.drain c.flow hurry
  | `Request (request, rest) -> (
      write c (Http.respond pages request) >>= function
      | Ok () when request.Http.keep_alive ->
          Places.served c.place;
          serve c rest
      | Ok () | Error _ -> TCP.close c.flow)

(* {1 All connections} *)

(* A tenth of the memory for what is waiting. *)
let places = lazy (Places.of_memory (fun { total; _ } -> max 16 (total / 10 / max_waiting)))

(* A connection whose time is up ends as if its client had gone, also for code that is reading or writing. *)
let accept flow =
  let places = Lazy.force places in
  let leave () = TCP.abort flow in
  let place = Places.take places ~leave in
  let limit = Mirust.Time.Deadline.create leave in
  Lwt.finalize
    (fun () -> serve { flow; place; limit } "")
    (fun () ->
      Mirust.Time.Deadline.clear limit;
      Lwt.return (Places.give places place))

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
