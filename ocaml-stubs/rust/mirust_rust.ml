open Mirust_stack
open Lwt.Infix
open Served
open Common
open Streams
open Datagrams
module TCP = Stack.TCP
module UDP = Stack.UDP
module Dns = Stack.Dns

let accept_queue = accept_queue
let datagram_queue = datagram_queue

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
  let names = (Mirust.Budget.get ()).names in
  (* What arrives over TCP has no more memory than the cache. *)
  let over_tcp = max 1 (names / 128) in
  let config = { Mirust_net_engine.Dns_engine.default with cache = names; over_tcp } in
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
