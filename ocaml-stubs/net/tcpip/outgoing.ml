open Mirust_mirage_types
open Mirust_net_env
module W = Mirust_wire

type counters = {
  mutable received : int;
  mutable malformed : int;
  mutable not_for_us : int;
  mutable fragments : int;
  mutable reassembled : int;
  mutable reassembly_failed : int;
  mutable sent : int;
  mutable unresolved : int;
  mutable own_dropped : int;
  mutable crowded_out : int;
}

type waiting = { mutable octets : int }

type t = {
  link : Link.t;
  ethertype : W.Ethernet.proto;
  header : int;
  counters : counters;
  mutable loopback : (W.Packet.t -> unit) option;
  own : W.Packet.t Queue.t;
  mutable own_octets : int;
  mutable own_asked : bool;
  own_max : int;
  asking : waiting;
  queued : waiting;
  mutable looped : bool;
}

let create ?(own = 4 lsl 20) link ethertype ~header =
  let counters =
    {
      received = 0;
      malformed = 0;
      not_for_us = 0;
      fragments = 0;
      reassembled = 0;
      reassembly_failed = 0;
      sent = 0;
      unresolved = 0;
      own_dropped = 0;
      crowded_out = 0;
    }
  in
  {
    link;
    ethertype;
    header;
    counters;
    loopback = None;
    own = Queue.create ();
    own_octets = 0;
    own_asked = false;
    own_max = own;
    asking = { octets = 0 };
    queued = { octets = 0 };
    looped = false;
  }

type unresolved = [ `Timeout | `Overflow ]

let emit_transport ~pseudo ~checksum_offset ~offload fill payload b ~at ~size =
  fill b at;
  let field = at + checksum_offset in
  if offload then W.Field.set_u16 b field (W.Checksum.fold pseudo)
  else (
    W.Field.set_u16 b field 0;
    let sum = W.Checksum.fragments (W.Checksum.range pseudo b at size) payload in
    let v = W.Checksum.finish sum in
    (* A UDP checksum of zero would mean that there is none (RFC 768). *)
    W.Field.set_u16 b field (if v = 0 then 0xffff else v))

let looped t =
  let looped = t.looped in
  t.looped <- false;
  looped

let deliver_one t deliver =
  let packet = Queue.pop t.own in
  t.own_octets <- t.own_octets - Cstruct.length packet.W.Packet.data;
  t.looped <- true;
  match deliver packet with
  | () -> t.looped <- false
  | exception e ->
      t.looped <- false;
      raise e

(* What is sent while these are delivered waits for the next turn: two services that answer each other
   without end leave room for others. Where memory runs out for one, the others are still delivered. *)
let deliver_all t deliver =
  let short = ref false in
  for _ = 1 to Queue.length t.own do
    try deliver_one t deliver with Out_of_memory -> short := true
  done;
  if !short then raise Out_of_memory

let rec ask t deliver =
  if not t.own_asked then (
    Env.soon (fun () -> deliver_own t deliver);
    (* Last: if there was no memory for that, the next packet asks. *)
    t.own_asked <- true)

and deliver_own t deliver =
  (* Before anything can raise: no other call is scheduled from here on. *)
  t.own_asked <- false;
  match deliver_all t deliver with
  | () -> ()
  | exception e ->
      if not (Queue.is_empty t.own) then ask t deliver;
      raise e

let to_own t (packet : W.Packet.t) =
  match t.loopback with
  | None -> `No_route
  | Some _ when t.own_octets > t.own_max ->
      (* Lost, as from a queue that is full. *)
      t.counters.own_dropped <- t.counters.own_dropped + 1;
      `Sent
  | Some deliver ->
      ask t deliver;
      Queue.push packet t.own;
      t.own_octets <- t.own_octets + Cstruct.length packet.data;
      `Sent

let send_to_own t ?(checksum = `Valid) ~size emit payload =
  let b = Cstruct.create (size + Cstruct.lenv payload) in
  emit b;
  ignore (Cstruct.fillv ~src:payload ~dst:(Cstruct.shift b size));
  to_own t (W.Packet.v ~checksum b)

let outcome : Link.outcome -> Ip_ext.outcome = function
  | `Sent -> `Sent
  | `Full -> `Full
  | `Too_long -> `Too_long
  | `Disconnected -> `No_route

let send t mac head payload ~offload ~checksum_offset ~gso_size =
  t.counters.sent <- t.counters.sent + 1;
  outcome
    (t.link.send mac t.ethertype head payload
       ~checksum_start:(if offload then t.header else 0)
       ~checksum_offset ~gso_size)

let send_filled t mac ~size fill =
  t.counters.sent <- t.counters.sent + 1;
  outcome (Link.send_filled t.link mac t.ethertype ~size fill)

let send_after t query ~lost head payload ~offload ~checksum_offset ~gso_size =
  let size = Cstruct.length head in
  let send mac =
    let b = t.link.reserve size in
    if Cstruct.length b > 0 then Cstruct.blit head 0 b t.link.header size;
    send t mac b payload ~offload ~checksum_offset ~gso_size
  in
  match Lwt.state query with
  | Lwt.Return (Ok mac) -> send mac
  | Lwt.Return (Error (`Timeout | `Overflow)) | Lwt.Fail _ -> `No_route
  | Lwt.Sleep ->
      Lwt.on_any query
        (function
          | Ok mac ->
              ignore (send mac : Ip_ext.outcome);
              t.link.flush ()
          | Error why ->
              t.counters.unresolved <- t.counters.unresolved + 1;
              if why = `Timeout then lost (Cstruct.shift head t.header))
        ignore;
      `Sent

type piece = { size : int; emit : Cstruct.t -> unit }

(* Besides its octets: the promises and closures of what waits. *)
let overhead = 512

let hold waiting ~octets promise =
  if Lwt.is_sleeping promise then (
    Lwt.on_termination promise (fun () -> waiting.octets <- waiting.octets - octets);
    (* Counted last: if registering the callback fails for want of memory, nothing would subtract them again. *)
    waiting.octets <- waiting.octets + octets);
  promise

let is_too_much t waiting octets = waiting.octets > 0 && waiting.octets + octets > t.own_max

let unresolved t why =
  t.counters.unresolved <- t.counters.unresolved + 1;
  Lwt.return_error (`No_route why)

(* A stranger can choose what waits for a neighbour: 64 KiB for each ping from an address that does not exist. And a
   device may take less than strangers provoke. The two are counted separately, so that packets waiting for a neighbour
   do not keep others from the device. *)
let with_mac t query ~pp ~octets via f =
  let octets = octets + overhead in
  let send mac =
    if is_too_much t t.queued octets then (
      t.counters.crowded_out <- t.counters.crowded_out + 1;
      Lwt.return_error (`No_route "too much waits for the device"))
    else hold t.queued ~octets (f mac)
  in
  if Lwt.is_sleeping query && is_too_much t t.asking octets then
    unresolved t (Fmt.str "too much waits for answers from %a and others" pp via)
  else
    Lwt.bind (hold t.asking ~octets query) (function
      | Ok mac -> send mac
      | Error `Timeout -> unresolved t (Fmt.str "no answer from %a" pp via)
      | Error `Overflow -> unresolved t (Fmt.str "too much waits for an answer from %a" pp via))

let write t mac ~size fill =
  t.counters.sent <- t.counters.sent + 1;
  Lwt.map (Result.map_error (fun s -> `Link s)) (t.link.write mac t.ethertype ~size fill)

let rec write_pieces t mac = function
  | [] -> Lwt.return_ok ()
  | { size; emit } :: rest ->
      let fill b =
        emit b;
        size
      in
      Lwt.bind (write t mac ~size fill) (function
        | Ok () -> write_pieces t mac rest
        | Error _ as e -> Lwt.return e)

let pieces_to_own t pieces =
  let deliver { size; emit } = send_to_own t ~size emit [] = `Sent in
  Lwt.return (if List.for_all deliver pieces then Ok () else Error (`No_route "no loopback"))

let cut ~length ~room piece =
  let rec from off =
    if length - off <= room then [ piece ~off ~len:(length - off) ~more:false ]
    else
      let len = room land lnot 7 in
      piece ~off ~len ~more:true :: from (off + len)
  in
  from 0
