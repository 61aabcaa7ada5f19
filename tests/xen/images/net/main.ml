(* The small services of old on a real interface: echo (port 7), discard (9) and character generator
   (19), and on port 80 a page that says what the device has counted (/stats) or is as large as asked
   (/BYTES). The console says when the link is up. *)

open Lwt.Infix
open Mirust_stack
open Mirust_vif

let interface =
  Mirust.Bootvar.register
    Cmdliner.Arg.(value & opt string "0" & info [ "interface" ] ~doc:"The network interface.")

let pages =
  Mirust.Bootvar.register
    Cmdliner.Arg.(value & opt int 0 & info [ "receive-pages" ] ~doc:"Pages to receive frames into.")

let config = Mirust.Bootvar.register (Args.config ())

let rec echo flow =
  Stack.TCP.read flow >>= function
  | Ok (`Data b) -> (
      Stack.TCP.write flow b >>= function Ok () -> echo flow | Error _ -> Stack.TCP.close flow)
  | Ok `Eof | Error _ -> Stack.TCP.close flow

let rec discard flow =
  Stack.TCP.read flow >>= function
  | Ok (`Data _) -> discard flow
  | Ok `Eof | Error _ -> Stack.TCP.close flow

let pattern =
  let b = Cstruct.create 65536 in
  for i = 0 to 65535 do
    Cstruct.set_uint8 b i (i mod 251)
  done;
  b

let rec generate flow left =
  if left <= 0 then Stack.TCP.close flow
  else
    Stack.TCP.write flow (Cstruct.sub pattern 0 (min left 65536)) >>= function
    | Ok () -> generate flow (left - 65536)
    | Error _ -> Stack.TCP.close flow

let statistics device =
  Fmt.str "%a\npoll: %a\n"
    Fmt.(option Vif.pp_stats)
    (Vif.stats device) Mirust.Stats.Poll.pp (Mirust.Stats.Poll.get ())

let http device flow =
  Stack.TCP.read flow >>= function
  | Ok `Eof | Error _ -> Stack.TCP.close flow
  | Ok (`Data request) -> (
      let path =
        match String.split_on_char ' ' (Cstruct.to_string request) with
        | "GET" :: path :: _ -> path
        | _ -> "/"
      in
      let header length =
        Cstruct.of_string
          (Fmt.str "HTTP/1.0 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" length)
      in
      match int_of_string_opt (String.sub path 1 (String.length path - 1)) with
      | Some bytes -> (
          Stack.TCP.write flow (header bytes) >>= function
          | Ok () -> generate flow bytes
          | Error _ -> Stack.TCP.close flow)
      | None ->
          let body = if path = "/stats" then statistics device else "It works.\n" in
          Stack.TCP.writev flow [ header (String.length body); Cstruct.of_string body ] >>= fun _ ->
          Stack.TCP.close flow)

let start () =
  let limits = { Vif.default_limits with receive_pages = pages () } in
  Vif.connect ~limits (interface ()) >>= function
  | Error (`Msg message) -> Lwt.fail_with message
  | Ok device ->
      Fmt.pr "link up: %a, MTU %d@." Macaddr.pp device.mac (device.mtu ());
      Mirust_network.connect (config ()) device >>= fun stack ->
      let listen port = Stack.TCP.listen (Stack.tcp stack) ~port in
      listen 7 echo;
      listen 9 discard;
      listen 19 (fun flow -> generate flow max_int);
      listen 80 (http device);
      Fmt.pr "ready@.";
      Mirust.Main.shutdown_requested () >>= fun _ ->
      Fmt.pr "%s@." (statistics device);
      Stack.disconnect stack

let () = Mirust.Main.run (start ())
