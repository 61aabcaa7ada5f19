open Lwt.Infix
open Mirust_wire
open Mirust_netif

let src = Logs.Src.create "mirust.vif" ~doc:"Network devices"

module Log = (val Logs.src_log src : Logs.LOG)

let max_gso = 65535 - 14

(* A slab takes the largest frame; not much is left of the last one in it. *)
let smallest_slab = 96 * 1024
let largest_slab = 256 * 1024

type limits = { receive_pages : int; send_pages : int; copied : int }

let default_limits = { receive_pages = 0; send_pages = 0; copied = 32 lsl 20 }

(* Slabs that may be filled before everybody else has a turn, and the collector too if it is asked for: so that a few
   slabs, which stay in the processor's cache, are used again and again. *)
let slabs_in_turn = 4

(* The memory that frames are copied to, in slabs: each lives on in the frames that lie in it, and is used again when
   the last one is dead. *)
type slabs = {
  size : int;
  mutable most : int; (* slabs that may be in use *)
  mutable dropped : int; (* frames that there was no slab for *)
}

let most_slabs octets ~size = max 2 (octets / size)

let slabs octets =
  let size = max smallest_slab (min largest_slab (octets / 16)) in
  { size; most = most_slabs octets ~size; dropped = 0 }

(* Not a bigarray of OCaml's: that much, while the heap is still small, would set off a whole collection. *)
let spare handle slabs =
  let spare = Abi.spare handle slabs.size in
  if Bigarray.Array1.dim spare = 0 then raise Out_of_memory;
  spare

type link = Down | Up | Closed

type t = {
  handle : int;
  name : string;
  heads : Cstruct.buffer;
  words : Abi.words; (* what the device and we tell each other: ffi/src/frames.rs *)
  slabs : slabs;
  spare : Cstruct.buffer; (* what comes while there is no slab is received into this, and dropped *)
  mutable has_slab : bool;
  mutable slab : Cstruct.buffer option; (* all of it, once there is a frame in it *)
  in_flight : Cstruct.t list array; (* payload that the device reads, by its number *)
  mutable link : link;
  mutable mac : Macaddr.t;
  mutable mtu : int;
  mutable features : Device.features;
  mutable receiver : (Packet.t list -> unit) option;
  mutable room : unit -> unit;
  mutable back : unit -> unit;
  mutable pressure : (Cstruct.buffer -> bool) -> unit;
  mutable gone : unit -> unit;
  link_changes : unit Lwt_condition.t;
  mutable again : bool; (* frames are left for the next turn *)
  counters : Device.counters;
}

(* Those that are open, or have not given back everything yet. *)
let polled : t list ref = ref []

(* The state of the link *)

let macaddr n =
  Macaddr.of_octets_exn (String.init 6 (fun i -> Char.chr ((n lsr (40 - (8 * i))) land 0xff)))

let refresh t =
  let info = Header.Info.get (Abi.info t.handle) in
  t.link <- (match info.link with 0 -> Down | 1 -> Up | _ -> Closed);
  t.mac <- macaddr info.mac;
  t.mtu <- info.mtu;
  let has bit = info.features land bit <> 0 in
  t.features <-
    {
      checksum = has Header.checksum;
      tso4 = has Header.tso4;
      tso6 = has Header.tso6;
      max_gso = (if has (Header.tso4 lor Header.tso6) then max_gso else 0);
    }

let link_changed t =
  let before = t.link in
  refresh t;
  Lwt_condition.broadcast t.link_changes ();
  match (before, t.link) with
  (* It may have gone and come back since the last turn. *)
  | (Down | Up), Up -> t.back ()
  | (Down | Up), Closed -> t.gone ()
  | (Down | Up), Down | Closed, (Down | Up | Closed) -> ()

(* Receiving *)

let checksum_states = [| `Unknown; `Valid; `Blank |]

(* All of the present slab. *)
let slab t =
  match t.slab with
  | Some slab -> slab
  | None ->
      let slab = Abi.view t.handle 0 t.slabs.size in
      t.slab <- Some slab;
      slab

let packet t i : Packet.t =
  let at = Header.word_frames + (Header.frame_fields * i) in
  let place = t.words.{at} and len = t.words.{at + 1} in
  let data =
    if place < 0 then Cstruct.of_bigarray (Abi.view t.handle place len)
    else Cstruct.of_bigarray (if t.has_slab then slab t else t.spare) ~off:place ~len
  in
  Device.count_rx t.counters len;
  { data; checksum = checksum_states.(t.words.{at + 2}); gso_size = t.words.{at + 3} }

let rec packets t i rest = if i < 0 then rest else packets t (i - 1) (packet t i :: rest)

(* What can be received without a slab: frames that the device lends, and small ones, which are copied individually. So
   peers that send little are heard while others send all that they can. *)
let small_frame = 2048

let without_slab t (p : Packet.t) =
  if p.data.buffer != t.spare then Some p
  else if Cstruct.length p.data > small_frame then None
  else
    match Cstruct.append p.data Cstruct.empty with
    | data -> Some { p with data }
    | exception Out_of_memory -> None

(* {1 Slabs} *)

let slabs_rest_until = ref 0
let in_slab t b = Abi.in_slab t.handle b = 1

(* Holders of small parts of frames copy them, and the collector finds what that has freed. The time that this may take
   is limited, even if it frees nothing. *)
let relieve t =
  let now () = Int64.to_int (Mirust.Mclock.elapsed_ns ()) in
  let start = now () in
  if start >= !slabs_rest_until then (
    t.pressure (in_slab t);
    Mirust.Collect.full_major ();
    let stop = now () in
    slabs_rest_until := stop + (3 * (stop - start)))

(* Most frames die young, and then the small collection finds it. *)
let new_slab t =
  t.slab <- None;
  let after collect =
    collect ();
    t.has_slab <- Abi.slab t.handle t.slabs.most = 1;
    t.has_slab
  in
  ignore (List.exists after [ ignore; Gc.minor; (fun () -> relieve t) ] : bool)

let dropped t n =
  let s = t.slabs in
  let before = s.dropped in
  s.dropped <- before + n;
  (* Whenever the number has doubled. *)
  if before lxor s.dropped > before then
    Log.warn (fun m ->
        m "%s: no memory to copy frames to: %d dropped so far (there may be %d slabs of %d KiB)"
          t.name s.dropped s.most (s.size / 1024))

(* What the words describe, and [slabs] slabs more at most. Should an exception come out of this, these frames are lost,
   and no others. *)
let rec take_in t slabs =
  let count = t.words.{Header.word_count} and state = t.words.{Header.word_state} in
  t.words.{Header.word_count} <- 0;
  t.words.{Header.word_state} <- 0;
  (* Others get a turn before the remaining frames are taken, also if an exception is raised before these are asked for.
     *)
  if state <> 0 then t.again <- true;
  let arrived = if count > 0 then packets t (count - 1) [] else [] in
  let taken = if t.has_slab then arrived else List.filter_map (without_slab t) arrived in
  if not t.has_slab then dropped t (List.length arrived - List.length taken);
  (match t.receiver with Some receiver when taken <> [] -> receiver taken | Some _ | None -> ());
  if state = 2 && slabs > 0 then (
    new_slab t;
    receive t (slabs - 1))

and receive t slabs =
  if not t.has_slab then new_slab t;
  ignore (Abi.receive t.handle : int);
  t.again <- false;
  take_in t slabs

(* Sending *)

let rec collect t =
  let number = Abi.completed t.handle in
  if number > 0 then (
    t.in_flight.(number) <- [];
    collect t)

let reserve t n =
  let off =
    if n <= t.words.{Header.word_room} then t.words.{Header.word_head} else Abi.reserve t.handle n
  in
  if off < 0 then Cstruct.empty else Cstruct.of_bigarray t.heads ~off ~len:n

let send t (f : Device.frame) : Device.outcome =
  let result =
    Abi.send t.handle f.head.off f.head.len f.payload f.checksum_start f.checksum_offset f.gso_size
  in
  if result >= 0 then (
    if result > 0 then t.in_flight.(result) <- f.payload;
    Device.count_tx t.counters (Device.frame_length f);
    `Sent)
  else if result = Header.full then `Full
  else if result = Header.invalid_length then `Invalid_length
  else `Disconnected

(* Turns *)

let collector_rests_until = ref 0

(* Frames that were held for a while have to be found by a major collection. The rest after it keeps its share of the
   time small, whether it helps or not: then the answer is false. *)
let collect_major t =
  let start = Int64.to_int (Mirust.Mclock.elapsed_ns ()) in
  let is_due = start >= !collector_rests_until in
  if is_due then (
    t.pressure (in_slab t);
    Mirust.Collect.full_major ();
    let stop = Int64.to_int (Mirust.Mclock.elapsed_ns ()) in
    collector_rests_until := stop + (30 * (stop - start)));
  is_due

let news t = t.words.{Header.word_news}
let dealt_with t bits = t.words.{Header.word_news} <- news t land lnot bits

(* For news that the device reports once: it is cleared only when it has been handled, so that it is handled in a later
   turn if memory runs out. *)
let heed t bit f =
  if news t land bit <> 0 && Mirust.Main.attempt (fun () -> f t) then dealt_with t bit

(* For news that the device repeats for as long as it is true. *)
let heed_memory t =
  let short = news t land Header.shortage <> 0 and pressed = news t land Header.pressure <> 0 in
  dealt_with t (Header.shortage lor Header.pressure);
  let collect () =
    if (not (short && collect_major t)) && pressed then (
      (* Most frames die young: this is all it takes to give their memory back. What is still referenced grows old,
         which the present slab need not. *)
      t.slab <- None;
      Gc.minor ())
  in
  if short || pressed then ignore (Mirust.Main.attempt collect : bool)

(* The peer may still read what is in flight, which only we keep. *)
let forget t =
  if Array.for_all (fun payload -> payload = []) t.in_flight then
    polled := List.filter (fun other -> other != t) !polled

let start_of_turn t =
  t.again <- false;
  if news t <> 0 then (
    heed_memory t;
    heed t Header.link link_changed;
    heed t Header.completed collect);
  let some = t.words.{Header.word_count} > 0 in
  (* Memory for peers is only allocated after a frame has arrived. *)
  if some || news t land Header.frames <> 0 then Mirust.Budget.look_again ();
  (* Frames of the last turn may be left. *)
  if some || t.words.{Header.word_state} <> 0 then
    ignore (Mirust.Main.attempt (fun () -> take_in t slabs_in_turn) : bool);
  heed t Header.frames (fun t -> receive t slabs_in_turn);
  heed t Header.room (fun t -> t.room ());
  if t.link = Closed then forget t

(* No event announces what is left, so the loop must not sleep. A pause made at the beginning of the turn would be over
   by now. *)
let end_of_turn t =
  if t.again || news t <> 0 || t.words.{Header.word_count} > 0 then
    ignore (Lwt.pause () : unit Lwt.t)

let () =
  (* If memory runs out for one device, the others still have their turn. *)
  let start t = ignore (Mirust.Main.attempt (fun () -> start_of_turn t) : bool) in
  Mirust.Main.at_enter_iter (fun () ->
      match !polled with [ t ] -> start_of_turn t | several -> List.iter start several);
  Mirust.Main.at_leave_iter (fun () -> List.iter end_of_turn !polled)

(* Devices *)

let disconnect t =
  if t.link <> Closed then (
    ignore (Abi.close t.handle : int);
    link_changed t)

let multicast t group join =
  let mac = String.fold_left (fun n c -> (n lsl 8) lor Char.code c) 0 (Macaddr.to_octets group) in
  ignore (Abi.multicast t.handle mac join : int)

let device t =
  {
    Device.name = t.name;
    mac = t.mac;
    mtu = (fun () -> t.mtu);
    features = (fun () -> t.features);
    reserve = reserve t;
    send = send t;
    (* What was sent goes out when the turn ends, all of it with one notification. *)
    flush = ignore;
    on_receive = (fun f -> t.receiver <- Some f);
    on_room = (fun f -> t.room <- f);
    on_link = (fun f -> t.back <- f);
    on_pressure = (fun f -> t.pressure <- f);
    on_disconnect = (fun f -> t.gone <- f);
    join = (fun group -> multicast t group 1);
    leave = (fun group -> multicast t group 0);
    disconnect = (fun () -> disconnect t);
    counters = t.counters;
  }

let rec wait_until_up t =
  match t.link with
  | Up -> Lwt.return_ok (device t)
  | Closed -> Lwt.return_error (`Msg (t.name ^ ": closed"))
  | Down -> Lwt_condition.wait t.link_changes >>= fun () -> wait_until_up t

(* The device, once it is among those that are polled. *)
let start limits name handle =
  let slabs = slabs limits.copied in
  let spare = spare handle slabs in
  let t =
    {
      handle;
      name;
      slabs;
      spare;
      heads = Abi.heads handle;
      words = Abi.words handle;
      has_slab = false;
      slab = None;
      in_flight = Array.make 257 [];
      link = Down;
      mac = Macaddr.broadcast;
      mtu = 0;
      features = Device.no_features;
      receiver = None;
      room = ignore;
      back = ignore;
      pressure = ignore;
      gone = ignore;
      link_changes = Lwt_condition.create ();
      again = false;
      counters = Device.no_counters ();
    }
  in
  new_slab t;
  refresh t;
  polled := t :: !polled;
  t

let connect ?(limits = default_limits) ?timeout name =
  let handle = Abi.open_ name (String.length name) limits.receive_pages limits.send_pages in
  if handle < 0 then Lwt.return_error (`Msg (name ^ ": cannot open the network device"))
  else
    let t =
      try start limits name handle
      with e ->
        ignore (Abi.close handle : int);
        raise e
    in
    let up = wait_until_up t in
    match timeout with
    | None -> up
    | Some ns ->
        let late = Mirust.Time.ns ns >|= fun () -> Error (`Msg (name ^ ": the link is down")) in
        Lwt.pick [ up; late ] >|= fun result ->
        if Result.is_error result then disconnect t;
        result

(* Statistics *)

type counters = Header.Stats.t = {
  rx_frames : int;
  rx_bytes : int;
  rx_gso : int;
  rx_copied : int;
  rx_dropped : int;
  tx_frames : int;
  tx_bytes : int;
  tx_gso : int;
  tx_copied : int;
  tx_dropped : int;
  tx_full : int;
  notifications : int;
  events : int;
  syscalls : int;
  grants : int;
  grant_ends : int;
  lies : int;
  links : int;
}

type stats = { device : counters; rx_no_memory : int }

let find (device : Device.t) = List.find_opt (fun t -> t.counters == device.counters) !polled

let set_copied device octets =
  Option.iter (fun t -> t.slabs.most <- most_slabs octets ~size:t.slabs.size) (find device)

let stats device =
  Option.map
    (fun t -> { device = Header.Stats.get (Abi.stats t.handle); rx_no_memory = t.slabs.dropped })
    (find device)

let pp_stats ppf { device = s; rx_no_memory } =
  Fmt.pf ppf
    "rx %d frames (%d large) %d bytes (%d copied) %d dropped, %d for want of memory; tx %d frames \
     (%d large) %d bytes (%d copied) %d dropped, %d times full; %d notifications, %d events, %d \
     syscalls, %d grants, %d ended, %d lies, %d links"
    s.rx_frames s.rx_gso s.rx_bytes s.rx_copied s.rx_dropped rx_no_memory s.tx_frames s.tx_gso
    s.tx_bytes s.tx_copied s.tx_dropped s.tx_full s.notifications s.events s.syscalls s.grants
    s.grant_ends s.lies s.links

let checksum (b : Cstruct.t) = Abi.checksum b.buffer b.off b.len
let () = Checksum.use_for_large checksum
