(* A static web page on port 80. How to reach it: see examples/echo. *)

open Lwt.Infix
open Mirust_stack
module TCP = Stack.TCP

let network = Mirust_network.register ()

let page =
  "<!doctype html>\n\
   <title>Mirust</title>\n\
   <h1>It works</h1>\n\
   <p>This page comes from a unikernel: TCP/IP in OCaml, drivers in Rust.</p>\n"

let response ?(body = "") ~keep status =
  Printf.sprintf
    "HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n%s"
    status (String.length body)
    (if keep then "keep-alive" else "close")
    body

let answer request =
  let lines = String.split_on_char '\n' request |> List.map String.trim in
  let close = List.exists (fun l -> String.lowercase_ascii l = "connection: close") lines in
  match String.split_on_char ' ' (List.hd lines) with
  | [ "GET"; ("/" | "/index.html"); "HTTP/1.1" ] ->
      (response "200 OK" ~body:page ~keep:(not close), not close)
  | [ "GET"; ("/" | "/index.html"); "HTTP/1.0" ] -> (response "200 OK" ~body:page ~keep:false, false)
  | [ "GET"; _; _ ] -> (response "404 Not Found" ~body:"Not here.\n" ~keep:(not close), not close)
  | [ _; _; _ ] -> (response "405 Method Not Allowed" ~keep:false, false)
  | _ -> (response "400 Bad Request" ~keep:false, false)

(* Where the first empty line ends. *)
let rec end_of_head s from =
  match String.index_from_opt s from '\n' with
  | None -> None
  | Some i when i + 1 < String.length s && s.[i + 1] = '\n' -> Some (i + 2)
  | Some i when i + 2 < String.length s && s.[i + 1] = '\r' && s.[i + 2] = '\n' -> Some (i + 3)
  | Some i -> end_of_head s (i + 1)

let max_head = 8192

(* Requests have no body here, so that one may follow the other at once. *)
let rec serve flow buffered =
  match end_of_head buffered 0 with
  | Some n -> (
      let text, keep = answer (String.sub buffered 0 n) in
      TCP.write flow (Cstruct.of_string text) >>= function
      | Ok () when keep -> serve flow (String.sub buffered n (String.length buffered - n))
      | Ok () | Error _ -> TCP.close flow)
  | None when String.length buffered > max_head -> TCP.close flow
  | None -> (
      TCP.read flow >>= function
      | Ok (`Data b) -> serve flow (buffered ^ Cstruct.to_string b)
      | Ok `Eof | Error _ -> TCP.close flow)

let start () =
  network () >>= fun stack ->
  TCP.listen (Stack.tcp stack) ~port:80 (fun flow -> serve flow "");
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "http on port 80 of %a"
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  Lwt.pick [ Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ] >>= fun () ->
  Stack.disconnect stack

let () = Mirust.Main.run (start ())
