[@@@ocamlformat "disable"]

(* Generated from ffi/include/mirust.h: edit ffi/src, then run `make header`.
   What the names mean is said there. *)

let read_only = 1
let cdrom = 2
let flush = 4
let discard = 8
let secure_discard = 16
let op_read = 0
let op_write = 1
let op_flush = 2
let op_zero = 3
let op_discard = 4
let op_secure_discard = 5
let out_of_range = -1
let misaligned = -2
let error_read_only = -3
let unsupported = -4
let io = -5
let lost = -6
let no_memory = -7
let closed = -8

module Info = struct
  type t = {
    state : int; (* 0: down, requests wait; 1: up; 2: closed for good. Before it was first up, the other fields mean nothing. *)
    sectors : int; (* The size, in units of 512 bytes. *)
    sector_size : int; (* Bytes of the disk's own sectors, 512 to 4096: what requests have to be aligned to. *)
    physical_sector_size : int; (* Bytes that the medium itself writes at a time. *)
    flags : int; (* MIRUST_BLOCK_READ_ONLY and the like. *)
    discard_granularity : int; (* Granularity of discards, in bytes. *)
    discard_alignment : int; (* Bytes from the disk's beginning to the first such unit. *)
    transfer_max : int; (* Bytes of the largest request that the disk takes in one piece. Larger ones are split. *)
  }

  (* As the function [fill] of the C ABI fills it in. *)
  let get fill =
    let b = Bytes.make 64 '\000' in
    ignore (fill b 64 : int);
    let field at = Int64.to_int (Bytes.get_int64_ne b at) in
    {
      state = field 0;
      sectors = field 8;
      sector_size = field 16;
      physical_sector_size = field 24;
      flags = field 32;
      discard_granularity = field 40;
      discard_alignment = field 48;
      transfer_max = field 56;
    }
end

module Stats = struct
  type t = {
    reads : int; (* Successful reads. *)
    read_bytes : int; (* Their bytes. *)
    writes : int; (* Successful writes, including zeros. *)
    written_bytes : int; (* Their bytes. *)
    flushes : int; (* Successful flushes. *)
    discards : int; (* Successful discards. *)
    errors : int; (* Requests that failed. *)
    requests : int; (* Requests as the backend saw them, after splitting and merging. *)
    copied : int; (* Bytes that were copied. *)
    grants : int; (* Pages granted to the backend. *)
    notifications : int; (* Notifications sent: one hypercall each. On Unix, times that requests were given to the kernel. *)
    events : int; (* Notifications received. *)
    lies : int; (* Protocol violations by the peer. *)
    connections : int; (* Times the disk was connected. *)
    reissued : int; (* Requests that were issued again on a new connection. *)
  }

  (* As the function [fill] of the C ABI fills it in. *)
  let get fill =
    let b = Bytes.make 120 '\000' in
    ignore (fill b 120 : int);
    let field at = Int64.to_int (Bytes.get_int64_ne b at) in
    {
      reads = field 0;
      read_bytes = field 8;
      writes = field 16;
      written_bytes = field 24;
      flushes = field 32;
      discards = field 40;
      errors = field 48;
      requests = field 56;
      copied = field 64;
      grants = field 72;
      notifications = field 80;
      events = field 88;
      lies = field 96;
      connections = field 104;
      reissued = field 112;
    }
end
