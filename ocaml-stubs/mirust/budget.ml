type t = {
  total : int;
  connections : int;
  time_wait : int;
  tcp : int;
  buffer : int;
  receive : int;
  send : int;
  copied : int;
  reassembly : int;
  datagrams : int;
  own : int;
  neighbours : int;
  names : int;
}

let kib = 1024
let mib = 1024 * kib

(* 4 KiB measured with a thousand idle connections to an echo service (docs/memory.md), and three
   segments of an Ethernet. *)
let connection_cost = 9 * kib

(* {1 Dividing}

   In thousandths. Together the shares are three quarters of what there is: the rest is for the application, and for
   what has been let go of and waits for the collector. Least and most: what a table needs to be of use, and what no
   program has been seen to fill. *)

let divide total =
  let share thousandths ~least ~most = max least (min most (total / 1000 * thousandths)) in
  let count thousandths ~each ~least ~most =
    max least (min most (total / 1000 * thousandths / each))
  in
  let connections = count 400 ~each:connection_cost ~least:64 ~most:32768 in
  let tcp = share 120 ~least:(256 * kib) ~most:(64 * mib) in
  {
    total;
    connections;
    time_wait = connections / 4;
    tcp;
    (* One connection alone must be able to fill a long path, and two not all there is. *)
    buffer = max (64 * kib) (min (4 * mib) (tcp / 2));
    receive = share 75 ~least:(512 * kib) ~most:(3 * mib);
    send = share 20 ~least:(128 * kib) ~most:(768 * kib);
    copied = share 90 ~least:(384 * kib) ~most:(32 * mib);
    reassembly = share 8 ~least:(128 * kib) ~most:mib;
    datagrams = share 15 ~least:(128 * kib) ~most:(4 * mib);
    own = share 20 ~least:(128 * kib) ~most:(4 * mib);
    neighbours = count 5 ~each:512 ~least:64 ~most:1024;
    names = count 3 ~each:512 ~least:32 ~most:1024;
  }

(* {1 What there is} *)

let without_limit = 512 * mib

(* Files of the kernel's, which stay open: each look is two reads then, and nothing is allocated for a channel. *)
let files = ref []

let close file =
  Option.iter In_channel.close_noerr (List.assoc_opt file !files);
  files := List.remove_assoc file !files

let from_the_start file =
  match List.assoc_opt file !files with
  | Some channel ->
      In_channel.seek channel 0L;
      channel
  | None ->
      let channel = In_channel.open_bin file in
      files := (file, channel) :: !files;
      channel

let text file =
  let channel = from_the_start file in
  let part = Bytes.create 2000 in
  (* To the very end: only then the channel holds nothing, and asks the kernel again. *)
  let rec read_on before =
    match In_channel.input channel part 0 (Bytes.length part) with
    | 0 -> before
    | n -> read_on (before ^ Bytes.sub_string part 0 n)
  in
  read_on ""

let lines file =
  match text file with
  | text -> String.split_on_char '\n' text
  | exception Sys_error _ ->
      close file;
      []

let number s = int_of_string_opt (String.trim s)

(* A process's limits: the most that there may be, and how much there is. *)

let no_limit = max_int

(* "Max address space   LIMIT   LIMIT   bytes". *)
let address_space_limit () =
  let name = "Max address space" in
  let limit line =
    if String.starts_with ~prefix:name line then
      let after = String.length name in
      String.sub line after (String.length line - after)
      |> String.split_on_char ' '
      |> List.find_opt (fun word -> word <> "")
      |> Option.map (fun word -> Option.value (number word) ~default:no_limit)
    else None
  in
  List.find_map limit (lines "/proc/self/limits")

(* The first number of statm, in pages. *)
let address_space () =
  match lines "/proc/self/statm" with
  | first :: _ ->
      let pages = Option.bind (List.nth_opt (String.split_on_char ' ' first) 0) number in
      Some (4096 * Option.value pages ~default:0)
  | [] -> None

(* Version 2 of control groups. *)
let in_control_group file ~default =
  let own line =
    match String.split_on_char ':' line with
    | "0" :: "" :: path -> Some ("/sys/fs/cgroup" ^ String.concat ":" path)
    | _ -> None
  in
  Option.bind
    (List.find_map own (lines "/proc/self/cgroup"))
    (fun folder ->
      List.nth_opt (lines (folder ^ file)) 0
      |> Option.map (fun text -> Option.value (number text) ~default))

(* "max" is no number. *)
let control_group_limit () = in_control_group "/memory.max" ~default:no_limit
let control_group () = in_control_group "/memory.current" ~default:0

(* Each with what there was when the budget was first asked for, none of which is the network's: what is divided later
   goes by that, too, however much the network has by then. *)
let limits = ref []
let close_all () = List.iter (fun (file, _) -> close file) !files

(* Of the limits that there are: how much the process may still use by the one that comes first. *)
let unused () =
  let of_one least (limit, now, _) =
    match limit () with
    | None -> least
    | Some most when most = no_limit -> least
    | Some most -> Option.fold ~none:least ~some:(fun used -> min least (most - used)) (now ())
  in
  List.fold_left of_one no_limit !limits

let begin_with_limits () =
  let with_others (limit, now) =
    match (limit (), now ()) with Some _, Some others -> Some (limit, now, others) | _, _ -> None
  in
  limits :=
    List.filter_map with_others
      [ (address_space_limit, address_space); (control_group_limit, control_group) ];
  (* Some of them are not looked at again. *)
  close_all ()

(* [None] if one of them cannot be read, for want of memory or of files. *)
let left () =
  let rec least most = function
    | [] -> Some (max 0 most)
    | (limit, _, others) :: rest -> (
        match limit () with
        | exception Out_of_memory -> None
        | None -> None
        | Some bytes -> least (min most (bytes - others)) rest)
  in
  least without_limit !limits

(* {1 What is divided} *)

let current = ref None
let was_set = ref false
let followers = ref []

(* As the runtime does in a domain (docs/memory.md), by what is left for the heap. *)
let minor_heap bytes =
  let words =
    if bytes < 16 * mib then 32 * kib
    else if bytes < 24 * mib then 64 * kib
    else if bytes < 40 * mib then 128 * kib
    else max_int
  in
  let gc = Gc.get () in
  if gc.minor_heap_size > words then Gc.set { gc with minor_heap_size = words }

let change bytes =
  let t = divide bytes in
  current := Some t;
  List.iter (fun f -> f t) !followers

(* The domain gets more memory or gives some back: what has come is free, and what has gone was. *)
let follow_memory total =
  let memory = ref total in
  Memory.on_resize (fun { bytes; _ } ->
      let more = bytes - !memory in
      memory := bytes;
      match !current with
      | Some t when not !was_set -> change (max 0 (t.total + more))
      | Some _ | None -> ())

let get () =
  match !current with
  | Some t -> t
  | None ->
      let { Stats.Memory.total; free; _ } = Stats.Memory.get () in
      let bytes =
        if total > 0 then free
        else (
          begin_with_limits ();
          let bytes = Option.value (left ()) ~default:without_limit in
          minor_heap bytes;
          bytes)
      in
      let t = divide bytes in
      current := Some t;
      follow_memory total;
      t

let set bytes =
  was_set := true;
  change bytes

let follow f =
  followers := f :: !followers;
  f (get ())

let rest = 100_000_000
let next = ref 0

(* Below this, the heap is compacted. *)
let low = ref max_int

(* A process has no reserve for the collector, and ends where a small allocation fails: what is garbage or lies between
   what is used has to be given back before. What is left then is in use, so that the next time comes only when a good
   part of the rest has gone, or when much was unused in between. *)
let give_back_in_time total =
  match unused () with
  | bytes when bytes >= (total / 4) + (total / 16) -> low := max_int
  | bytes when bytes >= min !low (total / 4) -> ()
  | (_ : int) | (exception Out_of_memory) -> (
      Gc.compact ();
      match unused () with bytes -> low := bytes - (total / 16) | exception Out_of_memory -> ())

let look_again () =
  if not (!was_set || !limits = []) then
    let now = Exchange.now () in
    if now >= !next then (
      next := now + rest;
      match (left (), !current) with
      | Some bytes, Some { total; _ } ->
          if bytes <> total then (
            minor_heap bytes;
            change bytes);
          if bytes < without_limit then give_back_in_time bytes
      | _, _ -> ())

(* {1 The parameter} *)

let most () =
  match (Stats.Memory.get ()).total with
  | 0 ->
      let least most limit = min most (Option.value (limit ()) ~default:no_limit) in
      Fun.protect ~finally:close_all (fun () ->
          List.fold_left least no_limit [ address_space_limit; control_group_limit ])
  | total -> total

let parse ~most s =
  let digits = String.length s - 1 in
  let is_digit c = '0' <= c && c <= '9' in
  let number s = if String.for_all is_digit s then int_of_string_opt s else None in
  let scaled unit =
    Option.bind
      (number (String.sub s 0 digits))
      (fun n -> if n <= max_int / unit then Some (n * unit) else None)
  in
  let bytes =
    if s = "" then None
    else
      match s.[digits] with
      | 'K' | 'k' -> scaled kib
      | 'M' | 'm' -> scaled mib
      | 'G' | 'g' -> scaled (1024 * mib)
      | _ -> number s
  in
  match bytes with
  | Some n when n > most ->
      Error (`Msg (Printf.sprintf "%S is more than there is: %d KiB" s (most / kib)))
  | Some n when n >= mib -> Ok n
  | Some _ -> Error (`Msg "at least 1M")
  | None -> Error (`Msg (Printf.sprintf "%S is no size: a number, and K, M or G behind it" s))

let parameter =
  let size =
    Cmdliner.Arg.conv ~docv:"SIZE" ((fun s -> parse ~most:(most ()) s), Format.pp_print_int)
  in
  Cmdliner.Arg.(
    value
    & opt (some size) None
    & info [ "network-memory" ] ~docv:"SIZE" ~docs:"NETWORK"
        ~doc:
          "Memory to divide among the network's tables and queues (K, M and G are understood). By \
           default what the domain has free at the start: the bounds leave a third of it to the \
           application.")

let pp ppf t =
  Format.fprintf ppf
    "%d KiB: %d connections (%d in TIME-WAIT), TCP %d KiB, frames %d KiB received, %d KiB sent, %d \
     KiB copied, %d neighbours, reassembly %d KiB, datagrams %d KiB"
    (t.total / kib) t.connections t.time_wait (t.tcp / kib) (t.receive / kib) (t.send / kib)
    (t.copied / kib) t.neighbours (t.reassembly / kib) (t.datagrams / kib)
