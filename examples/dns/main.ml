(* The OCaml side of dns: the network and the protocol. The zones are Rust's. *)

open Lwt.Infix
open Mirust_stack
module UDP = Stack.UDP
module TCP = Stack.TCP

let network = Mirust_network.register ()
let port = 53

(* Connections at a time; more are reset. *)
let max_connections = 256

(* Silence after which a connection ends (RFC 7766 section 6.2.3). *)
let idle = Duration.of_sec 10

(* {1 Datagrams} *)

let is_ours stack ip =
  let same prefix = Ipaddr.compare (Ipaddr.Prefix.address prefix) ip = 0 in
  List.exists same (Stack.IP.configured_ips (Stack.ip stack))

let datagram server stack ~src ~dst ~src_port b =
  match Server.answer server `Udp b with
  | None -> Lwt.return_unit
  | Some response ->
      (* From the address that was asked, unless that was everybody's. *)
      let from = if is_ours stack dst then Some dst else None in
      UDP.write ?src:from ~src_port:port ~dst:src ~dst_port:src_port (Stack.udp stack) response
      >|= ignore

(* {1 Connections} *)

(* Answers the messages that have arrived. One response at a time: what is not sent yet is not made. *)
let rec respond server stream flow =
  match Stream.next stream with
  | None -> Lwt.return_ok ()
  | Some message -> (
      match Server.answer server `Tcp message with
      | None -> respond server stream flow
      | Some response -> (
          TCP.writev flow (Stream.frame response) >>= function
          | Ok () -> respond server stream flow
          | Error _ as e -> Lwt.return e))

let converse server flow =
  TCP.set_nodelay flow true;
  let stream = Stream.create () in
  let exchange () =
    TCP.read flow >>= function
    | Ok `Eof | Error _ -> Lwt.return `End
    | Ok (`Data data) -> (
        Stream.feed stream data;
        respond server stream flow >|= function Ok () -> `More | Error _ -> `End)
  in
  let silence () = Mirust.Time.ns idle >|= fun () -> `Silence in
  let rec go () =
    Lwt.pick [ exchange (); silence () ] >>= function
    | `More -> go ()
    | `End -> TCP.close flow
    | `Silence -> Lwt.return (TCP.abort flow)
  in
  go ()

let connections = ref 0

let accept server flow =
  if !connections >= max_connections then Lwt.return (TCP.abort flow)
  else (
    incr connections;
    Lwt.finalize
      (fun () -> converse server flow)
      (fun () ->
        decr connections;
        Lwt.return_unit))

let start () =
  let zones = match Rust.load () with Ok zones -> zones | Error e -> failwith e in
  let server = Server.create ~lookup:Rust.lookup in
  network () >>= fun stack ->
  UDP.listen (Stack.udp stack) ~port (datagram server stack);
  TCP.listen (Stack.tcp stack) ~port (accept server);
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "dns on port %d of %a: %s" port
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack))
        zones);
  Lwt.pick [ Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ] >>= fun () ->
  Stack.disconnect stack

let () = Mirust.Main.run (start ())
