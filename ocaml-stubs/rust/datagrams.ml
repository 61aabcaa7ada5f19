(* UDP sockets. *)

open Mirust_stack
open Lwt.Infix
open Served
open Common
module UDP = Stack.UDP

(* Per socket. All sockets together have a share of the memory: {!Mirust.Budget}. *)
let datagram_queue = 256

type socket = {
  udp : UDP.t;
  udp_port : int;
  udp_bound : Ipaddr.t;
  received : (Cstruct.t * string) Mailbox.t;
  mutable ttl : int; (* 0: the stack's default *)
  mutable udp_peer : (Ipaddr.t * int) option;
  mutable refused : bool; (* the peer's host has said that the peer's port is closed *)
}

(* UDP's [listen] does not report that a port is in use: it replaces the listener. *)
let sockets : (int, socket) Hashtbl.t = Hashtbl.create 8
let datagrams_dropped = ref 0
let datagram_octets = ref 0

(* The overhead of holding one. *)
let datagram_overhead = 256
let datagram_cost b = Cstruct.length b + datagram_overhead

(* In memory of its own: otherwise a small datagram would keep its large receive buffer alive. *)
let keep_datagram received b from =
  let cost = datagram_cost b in
  if
    Mailbox.length received >= datagram_queue
    || !datagram_octets + cost > (Mirust.Budget.get ()).datagrams
  then incr datagrams_dropped
  else
    match Cstruct.append b Cstruct.empty with
    | copy ->
        datagram_octets := !datagram_octets + cost;
        Mailbox.put received (copy, from)
    | exception Out_of_memory -> incr datagrams_dropped

let udp_bind stack address token =
  let bound, port = decode address in
  let try_port port = UDP.is_free (Stack.udp stack) ~port in
  Result.map
    (fun port ->
      let udp = Stack.udp stack in
      let received = Mailbox.create token in
      let socket =
        {
          udp;
          udp_port = port;
          udp_bound = bound;
          received;
          ttl = 0;
          udp_peer = None;
          refused = false;
        }
      in
      Hashtbl.replace sockets port socket;
      UDP.listen udp ~port (fun ~src ~dst ~src_port b ->
          if is_for bound dst then keep_datagram received b (encode (src, src_port));
          Lwt.return_unit);
      socket)
    (bind_port stack bound port try_port)

let udp_local socket = encode (socket.udp_bound, socket.udp_port)
let release_datagram (b, _) = datagram_octets := !datagram_octets - datagram_cost b

(* No address is no peer. *)
let udp_connect socket address =
  socket.udp_peer <- (if address = "" then None else Some (decode address));
  socket.refused <- false

(* A refusal is reported once, and before the datagrams that have arrived. *)
let udp_receive socket =
  if socket.refused then (
    socket.refused <- false;
    Error Refused)
  else
    let datagram = Mailbox.take socket.received in
    Option.iter release_datagram datagram;
    Ok datagram

(* An ICMP message about a datagram of ours that it quotes. It may be forged, and so is only believed if it is about a
   peer to which the program has connected the socket: for an unconnected one there is no way to report it anyway. *)
let udp_problem ~proto ~src:_ ~dst problem quoted =
  match (problem : Mirust_mirage_types.Ip_ext.problem) with
  | Unreachable `Port when proto = 17 && Cstruct.length quoted >= 4 -> (
      let port = Cstruct.BE.get_uint16 quoted 0 and dst_port = Cstruct.BE.get_uint16 quoted 2 in
      match Hashtbl.find_opt sockets port with
      | Some ({ udp_peer = Some (ip, peer_port); _ } as socket)
        when peer_port = dst_port && Ipaddr.compare ip dst = 0 ->
          socket.refused <- true;
          Mailbox.notify socket.received
      | Some _ | None -> ())
  | Unreachable _ | Too_big _ | Expired | No_neighbour -> ()

let udp_ttl socket ttl = socket.ttl <- ttl

(* RFC 768: sixteen bits of length, including the header's eight bytes; IPv4's header has twenty. *)
let max_datagram = 0xffff - 8 - 20

let udp_send socket address view =
  let dst, dst_port = decode address in
  if Cstruct.length view > max_datagram then Lwt.return_error Too_long
  else
    let ttl = if socket.ttl = 0 then None else Some socket.ttl in
    UDP.write ?ttl ~src_port:socket.udp_port ~dst ~dst_port socket.udp view >|= function
    | Ok () -> Ok ()
    | Error _ -> Error No_route

let udp_close socket =
  Queue.iter release_datagram socket.received.queue;
  Queue.clear socket.received.queue;
  Hashtbl.remove sockets socket.udp_port;
  UDP.unlisten socket.udp ~port:socket.udp_port
