(* The OCaml side of dns: the network and the protocol. The zones are Rust's. *)

open Lwt.Infix
open Mirust_stack
module UDP = Stack.UDP
module TCP = Stack.TCP
module Places = Mirust.Places

let network = Mirust_network.register ()
let port = 53

(* Connections at a time. A twentieth of the memory is for what they hold: an incomplete message, and a
   response that is not read. How long that can be only the zones know: there are fewer places when a longer one has
   been asked for. *)
let most server ({ total; _ } : Mirust.Budget.t) =
  max 8 (min 256 (total / 20 / (Stream.longest + Server.longest server)))

let make_it_fit server places =
  Places.set_most places (most server (Mirust.Budget.get ()));
  Places.shed places

(* Time without a complete query after which a connection is closed (RFC 7766 section 6.2.3): single bytes do
   not keep it open. *)
let idle = Duration.of_sec 10

(* {1 Datagrams} *)

(* Not a broadcast address: if every host answered a broadcast, a datagram with a forged source would flood that source.
   An address of ours is its own source. *)
let is_ours stack dst = Ipaddr.compare (Stack.IP.src (Stack.ip stack) ~dst) dst = 0

let datagram server stack ~src ~dst ~src_port b =
  match if is_ours stack dst then Server.answer server `Udp b else None with
  | None -> Lwt.return_unit
  | Some response ->
      UDP.write ~src:dst ~src_port:port ~dst:src ~dst_port:src_port (Stack.udp stack) response
      >|= ignore

(* {1 Connections} *)

(* Answers the next message. A response is only made when the previous one has been sent. *)
let rec exchange server places place stream flow =
  match Stream.next stream with
  | `Too_long -> Lwt.return `End
  | `Message message -> (
      match Server.answer server `Tcp message with
      | None -> exchange server places place stream flow
      | Some response -> (
          (* A client that does not read its answer is not merely idle, however often it was served before. *)
          Places.set_busy place true;
          make_it_fit server places;
          TCP.writev flow (Stream.frame response) >|= function Ok () -> `More | Error _ -> `End))
  | `More -> (
      TCP.read flow >>= function
      | Ok `Eof | Error _ -> Lwt.return `End
      | Ok (`Data data) ->
          Stream.feed stream data;
          exchange server places place stream flow)

let converse server places place flow =
  TCP.set_nodelay flow true;
  let stream = Stream.create () in
  let silence () = Mirust.Time.ns idle >|= fun () -> `Silence in
  let rec go () =
    Lwt.pick [ exchange server places place stream flow; silence () ] >>= function
    | `More ->
        Places.set_busy place false;
        Places.served place;
        go ()
    | `End -> TCP.close flow
    | `Silence -> Lwt.return (TCP.abort flow)
  in
  go ()

let accept server places flow =
  let place = Places.take places ~leave:(fun () -> TCP.abort flow) in
  Lwt.finalize
    (fun () -> converse server places place flow)
    (fun () -> Lwt.return (Places.give places place))

let start () =
  let zones = match Rust.load () with Ok zones -> zones | Error e -> failwith e in
  network () >>= fun stack ->
  let server = Server.create ~lookup:Rust.lookup () in
  Mirust.Budget.follow (fun { total; _ } -> Server.set_memory server (min (8 lsl 20) (total / 20)));
  UDP.listen (Stack.udp stack) ~port (datagram server stack);
  TCP.listen (Stack.tcp stack) ~port (accept server (Places.of_memory (most server)));
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "dns on port %d of %a: %s" port
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack))
        zones);
  Lwt.pick [ Stack.listen stack; Mirust.Main.shutdown_requested () >|= ignore ] >>= fun () ->
  Stack.disconnect stack

let () = Mirust.Main.run (start ())
