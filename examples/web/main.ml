(* A static web page on port 80. *)

open Lwt.Infix
open Mirust_stack
module TCP = Stack.TCP

let network = Mirust_network.register ()

let port =
  let doc = "The TCP port to listen on." in
  Mirust.Bootvar.register Cmdliner.Arg.(value & opt int 80 & info [ "port" ] ~doc)

let write flow text = TCP.write flow (Cstruct.of_string text)

(* [text] was received and not yet answered: part of a request, or several that a client sent at once. *)
let rec serve flow text =
  match Http.parse text with
  | `Bad -> write flow Http.bad_request >>= fun _ -> TCP.close flow
  | `More -> (
      TCP.read flow >>= function
      | Ok (`Data data) -> serve flow (text ^ Cstruct.to_string data)
      | Ok `Eof | Error _ -> TCP.close flow)
  | `Request (request, length) -> (
      write flow (Http.respond Pages.all request) >>= function
      | Ok () when request.keep_alive ->
          serve flow (String.sub text length (String.length text - length))
      | Ok () | Error _ -> TCP.close flow)

let start () =
  network () >>= fun stack ->
  TCP.listen (Stack.tcp stack) ~port:(port ()) (fun flow -> serve flow "");
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "http on port %d of %a" (port ())
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  Lwt.pick [ Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ] >>= fun () ->
  Stack.disconnect stack

let () = Mirust.Main.run (start ())
