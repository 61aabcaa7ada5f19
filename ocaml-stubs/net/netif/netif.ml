open Mirust_wire
module Mirage_net = Mirust_mirage_types.Mirage_net

let src = Logs.Src.create "mirust.netif" ~doc:"Network interfaces"

module Log = (val Logs.src_log src : Logs.LOG)

type error = Mirage_net.Net.error

let pp_error = Mirage_net.Net.pp_error

type t = {
  device : Device.t;
  stats : Mirage_net.stats;
  gone : unit Lwt.t;
  room_again : unit Lwt_condition.t;
  mutable full : bool;
  mutable disconnected : bool;
  mutable waiters : (unit -> unit) list; (* called whenever there is room again *)
}

let connect (device : Device.t) =
  let gone, resolver = Lwt.wait () in
  let t =
    {
      device;
      stats = { rx_pkts = 0l; rx_bytes = 0L; tx_pkts = 0l; tx_bytes = 0L };
      gone;
      room_again = Lwt_condition.create ();
      full = false;
      disconnected = false;
      waiters = [];
    }
  in
  device.on_room (fun () ->
      t.full <- false;
      Mirust_net_env.Env.each (fun f -> f ()) t.waiters;
      Lwt_condition.broadcast t.room_again ());
  device.on_disconnect (fun () ->
      if not t.disconnected then (
        t.disconnected <- true;
        Lwt_condition.broadcast t.room_again ();
        Lwt.wakeup_later resolver ()));
  t

let device t = t.device
let mac t = t.device.mac
let mtu t = t.device.mtu ()

(* Mirage's users may keep the record: it is always the same. *)
let get_stats_counters t =
  let { Device.rx_frames; rx_bytes; tx_frames; tx_bytes } = t.device.counters in
  t.stats.rx_pkts <- Int32.of_int rx_frames;
  t.stats.rx_bytes <- Int64.of_int rx_bytes;
  t.stats.tx_pkts <- Int32.of_int tx_frames;
  t.stats.tx_bytes <- Int64.of_int tx_bytes;
  t.stats

let reset_stats_counters t =
  let c = t.device.counters in
  c.rx_frames <- 0;
  c.rx_bytes <- 0;
  c.tx_frames <- 0;
  c.tx_bytes <- 0;
  ignore (get_stats_counters t : Mirage_net.stats)

let disconnect t =
  t.device.disconnect ();
  Lwt.return_unit

let on_room t f = t.waiters <- t.waiters @ [ f ]
let on_link t f = t.device.on_link f
let disconnected t = t.gone

let reserve t n =
  let b = t.device.reserve n in
  if Cstruct.length b < n then t.full <- true;
  b

let send t frame =
  match t.device.send frame with
  | `Full ->
      t.full <- true;
      `Full
  | (`Sent | `Invalid_length | `Disconnected) as outcome -> outcome

let room t =
  if t.full && not t.disconnected then Lwt_condition.wait t.room_again else Lwt.return_unit

let rec write t ~size fill =
  if t.disconnected then Lwt.return_error `Disconnected
  else if size > t.device.mtu () + Ethernet.header_length || size <= 0 then
    Lwt.return_error `Invalid_length
  else
    let head = reserve t size in
    if Cstruct.length head < size then
      (* Nothing was filled in yet: wait and start again. *)
      Lwt.bind (room t) (fun () -> write t ~size fill)
    else (
      (* Fillers count on a buffer of zeroes. *)
      Cstruct.memset head 0;
      let used = fill head in
      if used > size || used < 0 then Lwt.return_error `Invalid_length
      else send_head t (Cstruct.sub head 0 used))

and send_head t head =
  let frame =
    { Device.head; payload = []; checksum_start = 0; checksum_offset = 0; gso_size = 0 }
  in
  match send t frame with
  | `Sent ->
      t.device.flush ();
      Lwt.return_ok ()
  | `Full ->
      (* The reservation may not outlive the wait: keep a copy. *)
      let copy = Cstruct.to_string head in
      Lwt.bind (room t) (fun () ->
          write t ~size:(String.length copy) (fun b ->
              Cstruct.blit_from_string copy 0 b 0 (String.length copy);
              String.length copy))
  | `Invalid_length -> Lwt.return_error `Invalid_length
  | `Disconnected -> Lwt.return_error `Disconnected

let listen_packets t receiver = t.device.on_receive receiver

(* What Mirage's receiver cannot be told is put right in the frame itself. *)
let complete (p : Packet.t) =
  match p.checksum with
  | `Unknown | `Valid -> [ p.data ]
  | `Blank ->
      let data = Cstruct.of_string (Cstruct.to_string p.data) in
      if p.gso_size > 0 then Gso.segment ~gso_size:p.gso_size data
      else (
        Gso.complete_received data;
        [ data ])

(* Others provoke them. *)
let failures = Mirust_net_env.Thin.create ()

let listen t ~header_size f =
  ignore header_size;
  if t.disconnected then Lwt.return_error `Disconnected
  else
    let one data =
      Lwt.dont_wait
        (fun () -> f data)
        (fun e ->
          Mirust_net_env.Thin.warn failures
            (module Log)
            (fun () -> t.device.name ^ ": listener: " ^ Printexc.to_string e))
    in
    listen_packets t (List.iter (fun p -> List.iter one (complete p)));
    Lwt.map (fun () -> Ok ()) t.gone
