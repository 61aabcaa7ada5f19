open Mirust_stack
open Lwt.Infix
open Served
module TCP = Stack.TCP
module UDP = Stack.UDP
module Dns = Stack.Dns

let accept_queue = 1024

(* Per socket. All sockets together have a share of the memory: {!Mirust.Budget}. *)
let datagram_queue = 256

let tcp_error : TCP.error -> error = function
  | `Timeout -> Timed_out
  | `Refused -> Refused
  | `Reset -> Reset
  | `Aborted -> Aborted
  | `No_resources -> No_resources
  | `No_route _ -> No_route

let write_error : TCP.write_error -> error = function
  | `Closed -> Closed
  | (`Timeout | `Refused | `Reset | `Aborted | `No_resources | `No_route _) as e -> tcp_error e

(* Addresses cross as the bytes of the address and of the port, in network order. *)

let encode (ip, port) =
  let b = Buffer.create 18 in
  Buffer.add_string b (Ipaddr.to_octets ip);
  Buffer.add_uint16_be b port;
  Buffer.contents b

let decode s =
  let length = String.length s - 2 in
  (Ipaddr.of_octets_exn (String.sub s 0 length), String.get_uint16_be s length)

(* Nothing here waits. Rust repeats a call that is not possible yet, and is told when, by the token of whoever called:
   ffi/src/net/wait.rs. *)

let wake = Mirust.Exchange.wake

(* Rust's tasks have their turn after the flush would have come, so the flush is put off: what they write leaves with
   the rest. *)
let wake_after promise flow token =
  Lwt.on_termination promise (fun () ->
      TCP.defer_flush flow;
      wake token)

(* A queue that one side fills and the other empties. *)
module Mailbox = struct
  type 'a t = { queue : 'a Queue.t; token : int; mutable asked : bool; mutable closed : bool }

  let create token = { queue = Queue.create (); token; asked = false; closed = false }
  let length t = Queue.length t.queue

  (* Whoever found nothing shall ask again. *)
  let notify t =
    if t.asked then (
      t.asked <- false;
      wake t.token)

  let put t v =
    Queue.push v t.queue;
    notify t

  let take t =
    let v = Queue.take_opt t.queue in
    if Option.is_none v then t.asked <- true;
    v
end

(* A wildcard address accepts what is for us in its own family, that of IPv6 in both. *)
let is_for bound dst =
  match (bound, dst) with
  | Ipaddr.V4 b, Ipaddr.V4 d -> b = Ipaddr.V4.any || Ipaddr.V4.compare b d = 0
  | Ipaddr.V6 b, Ipaddr.V6 d -> b = Ipaddr.V6.unspecified || Ipaddr.V6.compare b d = 0
  | Ipaddr.V6 b, Ipaddr.V4 _ -> b = Ipaddr.V6.unspecified
  | Ipaddr.V4 _, Ipaddr.V6 _ -> false

(* Whether anything could come in there: at a wildcard, at one of our own addresses, on the loopback network,
   or for a group. *)
let is_local stack ip =
  let group_or_all =
    match ip with
    | Ipaddr.V4 a -> a = Ipaddr.V4.any || a = Ipaddr.V4.broadcast || Ipaddr.V4.is_multicast a
    | Ipaddr.V6 a -> Ipaddr.V6.compare a Ipaddr.V6.unspecified = 0 || Ipaddr.V6.is_multicast a
  in
  group_or_all
  || Mirust_tcpip.Tcpip_stack_direct.is_loopback ip
  || List.exists
       (fun own -> Ipaddr.compare (Ipaddr.Prefix.address own) ip = 0)
       (Stack.IP.configured_ips (Stack.ip stack))

(* RFC 6335's dynamic ports. *)
let ephemeral () = 0xc000 lor (String.get_uint16_ne (Mirust.Random.generate 2) 0 land 0x3fff)

(* A free port, searched from a random one. *)
let bind_port stack bound port try_port =
  if not (is_local stack bound) then Error Not_local
  else if port <> 0 then if try_port port then Ok port else Error In_use
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
  else (
    TCP.defer_flush flow;
    Mailbox.put listener.accepted flow);
  Lwt.return_unit

let listen stack address backlog token =
  let bound, port = decode address in
  let tcp = Stack.tcp stack in
  let accepted = Mailbox.create token in
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
    (bind_port stack bound port try_port)

let accept listener = Mailbox.take listener.accepted
let listening listener = encode (listener.bound, listener.port)

let unlisten listener =
  listener.accepted.closed <- true;
  TCP.unlisten listener.tcp ~port:listener.port;
  Queue.iter TCP.abort listener.accepted.queue;
  Queue.clear listener.accepted.queue

let connect stack address =
  TCP.create_connection (Stack.tcp stack) (decode address) >|= Result.map_error tcp_error

(* Rust reads the values of this type: ffi/src/ocaml/view.rs. *)
type reading =
  | Wait
  | End
  | Data of Cstruct.t
  | Failed of error
  | Last of
      Cstruct.t (* there is nothing after it yet: Rust is told when there is, as after [Wait] *)

(* A connection, the tokens of its reader and writer, and what the reader has been told of and has not taken, which Rust
   does without a call: it finds it as the fourth field. *)
type stream = { flow : TCP.flow; reader : int; writer : int; mutable arrived : reading }

let stream flow reader writer = { flow; reader; writer; arrived = Wait }
let peer s = encode (TCP.dst s.flow)
let local s = encode (TCP.src s.flow)
let info s = TCP.info s.flow

(* A piece that has been taken out of the connection and is lost, because memory ran out, would leave a hole in what
   Rust reads: there is to be nothing behind it but the error. *)
let or_abort f s =
  try f s
  with Out_of_memory as e ->
    TCP.abort s.flow;
    raise e

(* Told and perhaps not taken, in this turn. *)
let told : stream list ref = ref []

(* Most requests arrive in one piece, and their reader asks again at once: this answers in advance. *)
let rec take s =
  match TCP.try_read s.flow with
  | `Data b when TCP.would_wait s.flow ->
      await s;
      Last b
  | `Data b -> Data b
  | `Eof -> End
  | `Error e -> Failed (tcp_error e)
  | `Wait ->
      await s;
      Wait

and read s = or_abort take s
and await s = Lwt.on_termination (TCP.readable s.flow) (fun () -> arrive s)

(* One piece at a time, and only to a reader that waits: the rest stays in the window. *)
and arrive s =
  match s.arrived with
  | Wait -> (
      match read s with
      | Wait -> ()
      | arrived -> tell s arrived
      | exception Out_of_memory -> tell s (Failed No_resources))
  (* There is something after it now. *)
  | Last b -> tell s (Data b)
  | (End | Data _ | Failed _) as arrived -> tell s arrived

and tell s arrived =
  s.arrived <- arrived;
  TCP.defer_flush s.flow;
  wake s.reader;
  told := s :: !told

(* Who does not read, or has to wait for the next turn, has a piece that the engine does not count any more, and no
   collection under pressure comes by: it is not to keep a receive buffer alive, of which it is a small part. *)
let release s =
  let small (view : Cstruct.t) buffer = 4 * Cstruct.length view <= Bigarray.Array1.dim buffer in
  let copy view =
    match Mirust_tcp.Pinned.compact ~device:(small view) [ view ] with
    | [ copy ] -> copy
    | _ -> view
  in
  match s.arrived with
  | Data view -> s.arrived <- Data (copy view)
  | Last view -> s.arrived <- Last (copy view)
  | Wait | End | Failed _ -> ()

let release_told () =
  match !told with
  | [] -> ()
  | streams ->
      told := [];
      List.iter release streams

let () = Mirust.Main.at_leave_iter release_told

external number : error -> int = "%identity"

let failed e = first_error - number (write_error e)

(* Room for this many octets; after 0 Rust is told when there is room. Negative as in {!Served}. *)
let room s =
  match TCP.write_room s.flow with
  | Error e -> failed e
  | Ok room when room > 0 -> room
  | Ok _ ->
      wake_after (TCP.writable s.flow) s.flow s.writer;
      0

(* Accepts all or nothing, and returns the remaining room. *)
let write s view =
  match TCP.write_room s.flow with
  | Error e -> failed e
  | Ok room when room < Cstruct.length view -> not_taken
  | Ok _ -> ( match TCP.put s.flow view with Error e -> failed e | Ok () -> room s)

let shutdown s side =
  if side <> Write then s.arrived <- Wait;
  ignore
    (TCP.shutdown s.flow (match side with Read -> `read | Write -> `write | Both -> `read_write))

(* Who closes without having read what has arrived resets the connection (RFC 2525 section 2.17). *)
let close s abort =
  let unread = match s.arrived with Data _ | Last _ -> true | Wait | End | Failed _ -> false in
  s.arrived <- Wait;
  if abort || unread then TCP.abort s.flow else ignore (TCP.close s.flow)

let set { flow; _ } setting value =
  match setting with
  | Nodelay -> TCP.set_nodelay flow (value <> 0)
  | Keepalive ->
      let keepalive ns =
        let second = 1_000_000_000L in
        { Tcpip.Tcp.Keepalive.after = Int64.of_int ns; interval = second; probes = 9 }
      in
      TCP.set_keepalive flow (if value = 0 then None else Some (keepalive value))
  | User_timeout -> TCP.set_user_timeout flow value

(* {1 UDP} *)

type socket = {
  udp : UDP.t;
  udp_port : int;
  udp_bound : Ipaddr.t;
  received : (Cstruct.t * string) Mailbox.t;
  mutable ttl : int; (* 0: the stack's default *)
  mutable udp_peer : (Ipaddr.t * int) option;
  mutable refused : bool; (* the peer's host has said that nobody has the peer's port *)
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

(* Somebody's word about a datagram of ours that the message quotes. It may be forged, and so is only believed if it is about
   a peer that the program itself has named: a socket that sends to many cannot tell whom it would be about either. *)
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

(* {1 Names} *)

(* All addresses, IPv6 first, concatenated as by [encode]. *)
let resolve dns name =
  match Result.bind (Domain_name.of_string name) Domain_name.host with
  | Error _ -> Lwt.return_error Not_found
  | Ok host ->
      let one kind = Dns.resolve dns host kind in
      Lwt.both (one Mirust_wire.Dns.Aaaa) (one Mirust_wire.Dns.A) >|= fun (six, four) ->
      let found = Result.value six ~default:[] @ Result.value four ~default:[] in
      if found = [] then Error Not_found else Ok (List.map (fun ip -> encode (ip, 0)) found)

(* The device's link address, and then our own, each by [encode] with the bits of its prefix for a port. *)
let interface stack =
  let own prefix =
    let bits =
      match prefix with
      | Ipaddr.V4 p -> Ipaddr.V4.Prefix.bits p
      | Ipaddr.V6 p -> Ipaddr.V6.Prefix.bits p
    in
    encode (Ipaddr.Prefix.address prefix, bits)
  in
  Macaddr.to_octets (Mirust_netif.Netif.mac (Stack.netif stack))
  :: List.map own (Stack.IP.configured_ips (Stack.ip stack))

(* {1 Figures} *)

(* Rust reads the values of these types, which are integers in this order: ffi/src/net/stats.rs. *)

type gauges = { connections : int; memory : int; datagrams_dropped : int }
[@@warning "-unused-field"]

let gauges stack =
  let engine = TCP.engine (Stack.tcp stack) in
  let module Engine = Mirust_tcp.Engine in
  {
    connections = Engine.connections engine;
    memory = Engine.memory engine;
    datagrams_dropped = !datagrams_dropped;
  }

let tcp_stats stack = Mirust_tcp.Engine.stats (TCP.engine (Stack.tcp stack))
let udp_stats stack = UDP.counters (Stack.udp stack)

(* {1 Serving} *)

module Serve = Served.Of (struct
  type nonrec listener = listener
  type flow = TCP.flow
  type nonrec stream = stream
  type nonrec socket = socket
  type nonrec reading = reading
  type tcp_info = Mirust_tcp.Engine.info
  type tcp_stats = Mirust_tcp.Stats.t
  type udp_stats = UDP.counters
  type nonrec gauges = gauges
end)

external served : unit -> unit = "mirust_ocaml_net_served"

let serve stack =
  let config = { Mirust_net_engine.Dns_engine.default with cache = (Mirust.Budget.get ()).names } in
  let dns = lazy (Dns.create ~config ~nameservers:(fun () -> Stack.dns stack) stack) in
  Serve.names
    ~resolve:(fun name -> resolve (Lazy.force dns) name)
    ~servers:(fun () -> List.map (fun ip -> encode (ip, 0)) (Stack.dns stack))
    ~interface:(fun () -> interface stack);
  Serve.figures
    ~tcp:(fun () -> tcp_stats stack)
    ~udp:(fun () -> udp_stats stack)
    ~gauges:(fun () -> gauges stack);
  Stack.IP.on_problem (Stack.ip stack) udp_problem;
  Serve.udp ~bind:(udp_bind stack) ~local:udp_local ~connect:udp_connect ~receive:udp_receive
    ~send:udp_send ~set_ttl:udp_ttl ~close:udp_close;
  Serve.options ~peer ~local ~set ~info;
  Serve.streams ~attach:stream ~read ~room ~write ~shutdown ~close;
  Serve.tcp ~listen:(listen stack) ~accept ~listening ~unlisten ~connect:(connect stack);
  served ()
