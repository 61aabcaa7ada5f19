[@@@ocamlformat "disable"]

(* Generated from ffi/include/mirust.h: edit ffi/src, then run `make header`.
   What the names mean is said there. *)

let checksum = 1
let tso4 = 2
let tso6 = 4
let full = -1
let invalid_length = -2
let disconnected = -3
let frames = 1
let room = 2
let completed = 4
let link = 8
let pressure = 16
let shortage = 32
let word_news = 0
let word_count = 1
let word_state = 2
let word_head = 3
let word_room = 4
let word_frames = 5
let frame_fields = 4
let frames_most = 256

module Info = struct
  type t = {
    link : int; (* 0: down, nothing can be sent; 1: up; 2: closed for good. *)
    mac : int; (* The address of this end, its first byte in bits 40 to 47. Zero before the first connection. *)
    mtu : int; (* Bytes of the largest frame without the Ethernet header. *)
    features : int; (* MIRUST_NET_CHECKSUM and the like. *)
  }

  (* As the function [fill] of the C ABI fills it in. *)
  let get fill =
    let b = Bytes.make 32 '\000' in
    ignore (fill b 32 : int);
    let field at = Int64.to_int (Bytes.get_int64_ne b at) in
    {
      link = field 0;
      mac = field 8;
      mtu = field 16;
      features = field 24;
    }
end

module Stats = struct
  type t = {
    rx_frames : int; (* Frames received. *)
    rx_bytes : int; (* Bytes received. *)
    rx_gso : int; (* Large segments among them. *)
    rx_copied : int; (* Bytes received that were copied. *)
    rx_dropped : int; (* Received frames that were lost. *)
    tx_frames : int; (* Frames sent. *)
    tx_bytes : int; (* Bytes sent. *)
    tx_gso : int; (* Large segments among them. *)
    tx_copied : int; (* Bytes of payload that were copied to be sent. *)
    tx_dropped : int; (* Frames that the backend did not send. *)
    tx_full : int; (* Times a sender was refused for want of room. *)
    notifications : int; (* Notifications sent: one hypercall each. *)
    events : int; (* Notifications received. *)
    syscalls : int; (* System calls (Unix). *)
    grants : int; (* Pages granted to the backend. *)
    grant_ends : int; (* Grants ended. *)
    lies : int; (* Protocol violations by the peer. *)
    links : int; (* Times the link came up. *)
  }

  (* As the function [fill] of the C ABI fills it in. *)
  let get fill =
    let b = Bytes.make 144 '\000' in
    ignore (fill b 144 : int);
    let field at = Int64.to_int (Bytes.get_int64_ne b at) in
    {
      rx_frames = field 0;
      rx_bytes = field 8;
      rx_gso = field 16;
      rx_copied = field 24;
      rx_dropped = field 32;
      tx_frames = field 40;
      tx_bytes = field 48;
      tx_gso = field 56;
      tx_copied = field 64;
      tx_dropped = field 72;
      tx_full = field 80;
      notifications = field 88;
      events = field 96;
      syscalls = field 104;
      grants = field 112;
      grant_ends = field 120;
      lies = field 128;
      links = field 136;
    }
end
