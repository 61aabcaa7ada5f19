open Mirust_stack
open Lwt.Infix
module TCP = Stack.TCP
module UDP = Stack.UDP
module Dns = Dns_client.Make (Stack.V4V6)

let accept_queue = 1024
let datagram_queue = 256

(* Rust knows these by their numbers: ffi/src/net/error.rs. *)
type error =
  | In_use
  | Refused
  | Timed_out
  | Reset
  | Aborted
  | Closed
  | No_resources
  | No_route
  | Too_long
  | Not_found

let tcp_error : TCP.error -> error = function
  | `Timeout -> Timed_out
  | `Refused -> Refused
  | `Reset -> Reset
  | `Aborted -> Aborted
  | `No_resources -> No_resources

let write_error : TCP.write_error -> error = function
  | `Closed -> Closed
  | (`Timeout | `Refused | `Reset | `Aborted | `No_resources) as e -> tcp_error e

(* Addresses cross as the bytes of the address and of the port, in network order. *)

let encode (ip, port) =
  let b = Buffer.create 18 in
  Buffer.add_string b (Ipaddr.to_octets ip);
  Buffer.add_uint16_be b port;
  Buffer.contents b

let decode s =
  let length = String.length s - 2 in
  (Ipaddr.of_octets_exn (String.sub s 0 length), String.get_uint16_be s length)

(* What one side puts in and the other waits for. *)
module Mailbox = struct
  type 'a t = { queue : 'a Queue.t; mutable waiter : 'a Lwt.u option; mutable closed : bool }

  let create () = { queue = Queue.create (); waiter = None; closed = false }
  let length t = Queue.length t.queue

  let put t v =
    match t.waiter with
    | Some u ->
        t.waiter <- None;
        Lwt.wakeup_later u v
    | None -> Queue.push v t.queue

  (* Rust has one promise at a time, and keeps it until it is resolved. *)
  let take t =
    match Queue.take_opt t.queue with
    | Some v -> Lwt.return v
    | None ->
        let p, u = Lwt.task () in
        t.waiter <- Some u;
        Lwt.on_cancel p (fun () -> t.waiter <- None);
        p
end

(* A wildcard address takes what is for us by its own family, that of IPv6 by both. *)
let is_for bound dst =
  match (bound, dst) with
  | Ipaddr.V4 b, Ipaddr.V4 d -> b = Ipaddr.V4.any || Ipaddr.V4.compare b d = 0
  | Ipaddr.V6 b, Ipaddr.V6 d -> b = Ipaddr.V6.unspecified || Ipaddr.V6.compare b d = 0
  | Ipaddr.V6 b, Ipaddr.V4 _ -> b = Ipaddr.V6.unspecified
  | Ipaddr.V4 _, Ipaddr.V6 _ -> false

(* RFC 6335's dynamic ports. *)
let ephemeral () = 0xc000 lor (String.get_uint16_ne (Mirust.Random.generate 2) 0 land 0x3fff)

(* A free port, from a random one on. *)
let bind_port port try_port =
  if port <> 0 then if try_port port then Ok port else Error In_use
  else
    let rec search n port =
      if n = 0 then Error No_resources
      else if try_port port then Ok port
      else search (n - 1) (if port = 0xffff then 0xc000 else port + 1)
    in
    search 0x4000 (ephemeral ())

(* {1 TCP} *)

type listener = { tcp : TCP.t; port : int; bound : Ipaddr.t; accepted : TCP.flow Mailbox.t }

let offer listener flow =
  let dst, _ = TCP.src flow in
  if
    listener.accepted.closed
    || Mailbox.length listener.accepted >= accept_queue
    || not (is_for listener.bound dst)
  then TCP.abort flow
  else Mailbox.put listener.accepted flow;
  Lwt.return_unit

let listen stack address backlog =
  let bound, port = decode address in
  let tcp = Stack.tcp stack in
  let accepted = Mailbox.create () in
  let self = ref None in
  let try_port port =
    let take flow =
      match !self with Some l -> offer l flow | None -> Lwt.return (TCP.abort flow)
    in
    Result.is_ok (TCP.try_listen tcp ~port ~backlog take)
  in
  Result.map
    (fun port ->
      let listener = { tcp; port; bound; accepted } in
      self := Some listener;
      listener)
    (bind_port port try_port)

let accept listener = Mailbox.take listener.accepted
let listening listener = encode (listener.bound, listener.port)

let unlisten listener =
  listener.accepted.closed <- true;
  TCP.unlisten listener.tcp ~port:listener.port;
  Queue.iter TCP.abort listener.accepted.queue;
  Queue.clear listener.accepted.queue

let connect stack address =
  TCP.create_connection (Stack.tcp stack) (decode address) >|= Result.map_error tcp_error

let peer flow = encode (TCP.dst flow)
let local flow = encode (TCP.src flow)

(* The end of file is a buffer of no bytes. *)
let read flow =
  TCP.read flow >|= function
  | Ok (`Data b) -> Ok b
  | Ok `Eof -> Ok Cstruct.empty
  | Error e -> Error (tcp_error e)

let write flow b = TCP.write flow (Cstruct.of_bigarray b) >|= Result.map_error write_error

let shutdown flow how =
  ignore (TCP.shutdown flow (match how with 0 -> `read | 1 -> `write | _ -> `read_write))

let close flow abort = if abort then TCP.abort flow else ignore (TCP.close flow)

(* Options by number: 0 nodelay, 1 keepalive (ns of silence; 0 is off), 2 user timeout (ns). *)
let set flow option value =
  match option with
  | 0 -> TCP.set_nodelay flow (value <> 0)
  | 1 ->
      let keepalive ns =
        let second = 1_000_000_000L in
        { Tcpip.Tcp.Keepalive.after = Int64.of_int ns; interval = second; probes = 9 }
      in
      TCP.set_keepalive flow (if value = 0 then None else Some (keepalive value))
  | 2 -> TCP.set_user_timeout flow value
  | _ -> invalid_arg "Mirust_rust: option"

(* {1 UDP} *)

type socket = {
  udp : UDP.t;
  udp_port : int;
  udp_bound : Ipaddr.t;
  received : (Cstruct.t * string) Mailbox.t;
}

(* Mirage's UDP says nothing of a port that is taken: it replaces the listener. *)
let sockets : (int, unit) Hashtbl.t = Hashtbl.create 8

let udp_bind stack address =
  let bound, port = decode address in
  let try_port port = not (Hashtbl.mem sockets port) in
  Result.map
    (fun port ->
      let udp = Stack.udp stack in
      let received = Mailbox.create () in
      Hashtbl.replace sockets port ();
      UDP.listen udp ~port (fun ~src ~dst ~src_port b ->
          if is_for bound dst && Mailbox.length received < datagram_queue then
            Mailbox.put received (b, encode (src, src_port));
          Lwt.return_unit);
      { udp; udp_port = port; udp_bound = bound; received })
    (bind_port port try_port)

let udp_local socket = encode (socket.udp_bound, socket.udp_port)
let udp_receive socket = Mailbox.take socket.received

(* RFC 768: sixteen bits of length, the header's eight bytes among them; IPv4's header has twenty. *)
let max_datagram = 0xffff - 8 - 20

let udp_send socket address b =
  let dst, dst_port = decode address in
  if Bigarray.Array1.dim b > max_datagram then Lwt.return_error Too_long
  else
    UDP.write ~src_port:socket.udp_port ~dst ~dst_port socket.udp (Cstruct.of_bigarray b)
    >|= function
    | Ok () -> Ok ()
    | Error _ -> Error No_route

let udp_close socket =
  Hashtbl.remove sockets socket.udp_port;
  UDP.unlisten socket.udp ~port:socket.udp_port

(* {1 Names} *)

(* All addresses, those of IPv6 first, one after the other as [encode] has them. *)
let resolve dns name =
  match Result.bind (Domain_name.of_string name) Domain_name.host with
  | Error _ -> Lwt.return_error Not_found
  | Ok host ->
      let one kind = Dns.resolve dns host kind in
      Lwt.both (one Mirust_wire.Dns.Aaaa) (one Mirust_wire.Dns.A) >|= fun (six, four) ->
      let found = Result.value six ~default:[] @ Result.value four ~default:[] in
      if found = [] then Error Not_found else Ok (List.map (fun ip -> encode (ip, 0)) found)

(* {1 Serving} *)

external serve_tcp :
  (string -> int -> (listener, error) result) ->
  (listener -> TCP.flow Lwt.t) ->
  (listener -> string) ->
  (listener -> unit) ->
  (string -> (TCP.flow, error) result Lwt.t) ->
  unit = "mirust_native_only" "mirust_ocaml_net_serve_tcp"

external serve_flow :
  (TCP.flow -> string) ->
  (TCP.flow -> string) ->
  (TCP.flow -> (Cstruct.t, error) result Lwt.t) ->
  (TCP.flow -> Cstruct.buffer -> (unit, error) result Lwt.t) ->
  (TCP.flow -> int -> unit) ->
  (TCP.flow -> bool -> unit) ->
  (TCP.flow -> int -> int -> unit) ->
  unit = "mirust_native_only" "mirust_ocaml_net_serve_flow"

external serve_udp :
  (string -> (socket, error) result) ->
  (socket -> string) ->
  (socket -> (Cstruct.t * string) Lwt.t) ->
  (socket -> string -> Cstruct.buffer -> (unit, error) result Lwt.t) ->
  (socket -> unit) ->
  unit = "mirust_native_only" "mirust_ocaml_net_serve_udp"

external serve_names : (string -> (string list, error) result Lwt.t) -> unit
  = "mirust_native_only" "mirust_ocaml_net_serve_names"

let serve stack =
  let dns = lazy (Dns.create ~nameservers:(fun () -> Stack.dns stack) stack) in
  serve_names (fun name -> resolve (Lazy.force dns) name);
  serve_udp (udp_bind stack) udp_local udp_receive udp_send udp_close;
  serve_flow peer local read write shutdown close set;
  serve_tcp (listen stack) accept listening unlisten (connect stack)
