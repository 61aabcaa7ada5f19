(* What streams and datagrams have in common: errors, addresses, queues and ports. *)

open Mirust_stack
open Served
module TCP = Stack.TCP

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

(* Nothing here waits. Rust repeats a call that is not possible yet, and is told when by the caller's token:
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

  (* Tells a caller that found nothing to ask again. *)
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
