open Lwt.Infix

let src = Logs.Src.create "mirust.block" ~doc:"Disks"

module Log = (val Logs.src_log src : Logs.LOG)

type failure =
  [ `Out_of_range | `Misaligned | `Io | `Lost | `No_memory  (** as Mirage's own disks have it *) ]

type error = [ Mirage_block.error | failure ]
type write_error = [ Mirage_block.write_error | failure ]

let pp_failure ppf : failure -> unit = function
  | `Out_of_range -> Fmt.string ppf "outside of the disk"
  | `Misaligned -> Fmt.string ppf "not a whole number of sectors"
  | `Io -> Fmt.string ppf "input/output error"
  | `Lost -> Fmt.string ppf "the disk's other end has vanished with writes that were not flushed"
  | `No_memory -> Fmt.string ppf "no memory for the request"

let pp_error ppf : error -> unit = function
  | #failure as e -> pp_failure ppf e
  | #Mirage_block.error as e -> Mirage_block.pp_error ppf e

let pp_write_error ppf : write_error -> unit = function
  | #failure as e -> pp_failure ppf e
  | #Mirage_block.write_error as e -> Mirage_block.pp_write_error ppf e

type t = { handle : int; name : string }
type state = Down | Up | Closed
type discard = { granularity : int; alignment : int; secure : bool }

type details = {
  state : state;
  read_only : bool;
  cdrom : bool;
  sector_size : int;
  physical_sector_size : int;
  size : int64;
  flush : bool;
  discard : discard option;
  transfer_max : int;
}

let details t =
  let info = Header.Info.get (Abi.info t.handle) in
  let has bit = info.flags land bit <> 0 in
  {
    state = (match info.state with 0 -> Down | 1 -> Up | _ -> Closed);
    size = Int64.of_int (info.sectors * 512);
    sector_size = info.sector_size;
    physical_sector_size = info.physical_sector_size;
    read_only = has Header.read_only;
    cdrom = has Header.cdrom;
    flush = has Header.flush;
    discard =
      (if has Header.discard then
         Some
           {
             granularity = info.discard_granularity;
             alignment = info.discard_alignment;
             secure = has Header.secure_discard;
           }
       else None);
    transfer_max = info.transfer_max;
  }

let change t =
  let promise, resolver = Lwt.wait () in
  let token = Mirust.Completion.register (fun () -> Lwt.wakeup_later resolver ()) in
  ignore (Abi.on_change t.handle token : int);
  promise

let rec ready t =
  match (details t).state with
  | Up -> Lwt.return_true
  | Closed -> Lwt.return_false
  | Down -> change t >>= fun () -> ready t

(* Disks by the name by which they were connected: a disk is opened only once. *)
let opened : (string, t) Hashtbl.t = Hashtbl.create 4

let connect ?(depth = 0) ?(persistent = false) name =
  ignore (Disks.named () : (string * string) list);
  let found =
    match Hashtbl.find_opt opened name with
    | Some t -> Some t
    | None ->
        let handle = Abi.open_ name (String.length name) depth (Bool.to_int persistent) in
        if handle < 0 then None
        else
          let t = { handle; name } in
          Hashtbl.add opened name t;
          Some t
  in
  match found with
  | None -> Lwt.fail_with (Printf.sprintf "there is no disk %S" name)
  | Some t -> (
      ready t >>= function
      | true -> Lwt.return t
      | false -> Lwt.fail_with (Printf.sprintf "the disk %S is closed" name))

let disconnect t =
  Hashtbl.remove opened t.name;
  ignore (Abi.close t.handle : int);
  Lwt.return_unit

let get_info t =
  let { read_only; sector_size; size; _ } = details t in
  let size_sectors = Int64.div size (Int64.of_int (max 1 sector_size)) in
  Lwt.return { Mirage_block.read_write = not read_only; sector_size; size_sectors }

(* The memory of requests that have not ended: the backend still reads it or writes to it, whatever becomes of the
   promise or of the token, which is a number that anybody can forget. A hash table would lose what it holds if memory
   ran out while it grew. *)
module Tokens = Map.Make (Int)

let in_flight : Cstruct.t list Tokens.t ref = ref Tokens.empty

let submit t op ~sector ~sectors buffers =
  let promise, resolver = Lwt.wait () in
  let token = ref (-1) in
  token :=
    Mirust.Completion.register (fun () ->
        let result = Abi.result !token in
        in_flight := Tokens.remove !token !in_flight;
        Lwt.wakeup_later resolver result);
  (try if buffers <> [] then in_flight := Tokens.add !token buffers !in_flight
   with exn ->
     Mirust.Completion.forget !token;
     raise exn);
  ignore (Abi.submit t.handle op sector sectors buffers !token : int);
  promise

(* A number of 512-byte sectors that no disk has, for one that does not fit. *)
let beyond = max_int / 512

let in_units t sector =
  let per = (details t).sector_size / 512 in
  if Int64.compare sector 0L < 0 || Int64.compare sector (Int64.of_int (beyond / max 1 per)) > 0
  then beyond
  else Int64.to_int sector * per

let transfer t op sector buffers =
  ready t >>= function
  | false -> Lwt.return Header.closed
  | true ->
      let bytes = List.fold_left (fun sum b -> sum + Cstruct.length b) 0 buffers in
      if bytes mod 512 <> 0 then Lwt.return Header.misaligned
      else if bytes = 0 then Lwt.return 0
      else submit t op ~sector:(in_units t sector) ~sectors:(bytes / 512) buffers

let failures =
  [
    (Header.out_of_range, `Out_of_range);
    (Header.misaligned, `Misaligned);
    (Header.io, `Io);
    (Header.lost, `Lost);
    (Header.no_memory, `No_memory);
    (Header.closed, `Disconnected);
    (Header.unsupported, `Unimplemented);
  ]

let failure code =
  match List.assoc_opt code failures with
  | Some failure -> failure
  | None -> Printf.ksprintf failwith "a disk's result %d" code

let read t sector buffers =
  transfer t Header.op_read sector buffers >|= function 0 -> Ok () | code -> Error (failure code)

let written code =
  if code = 0 then Ok ()
  else Error (if code = Header.error_read_only then `Is_read_only else failure code)

let write t sector buffers = transfer t Header.op_write sector buffers >|= written
let flush t = submit t Header.op_flush ~sector:0 ~sectors:0 [] >|= written

let range t op ~sector ~count =
  ready t >>= function
  | false -> Lwt.return (Error `Disconnected)
  | true ->
      let sector = in_units t sector and sectors = in_units t count in
      submit t op ~sector ~sectors [] >|= written

let discard ?(secure = false) t sector count =
  range t (if secure then Header.op_secure_discard else Header.op_discard) ~sector ~count

let zero t sector count = range t Header.op_zero ~sector ~count

let alloc bytes =
  let buffer = Bigarray.(Array1.create char c_layout (bytes + 4096)) in
  Cstruct.of_bigarray buffer ~off:(Abi.align buffer) ~len:bytes

type stats = Header.Stats.t = {
  reads : int;
  read_bytes : int;
  writes : int;
  written_bytes : int;
  flushes : int;
  discards : int;
  errors : int;
  requests : int;
  copied : int;
  grants : int;
  notifications : int;
  events : int;
  lies : int;
  connections : int;
  reissued : int;
}

let stats t = Header.Stats.get (Abi.stats t.handle)
