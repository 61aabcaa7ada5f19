(* Prints what cksum would of each file on the disk `site`, by Mirage's read-only store. The functor takes any store, as
   Mirage's unikernels do. *)

open Lwt.Infix
module Key = Mirage_kv.Key

(* What POSIX's cksum calculates: a CRC of the bytes and then of their number, the highest bit first. *)
module Cksum = struct
  let table =
    Array.init 256 (fun byte ->
        let step crc _ =
          if crc land 0x8000_0000 <> 0 then (crc lsl 1) lxor 0x04c1_1db7 else crc lsl 1
        in
        List.fold_left step (byte lsl 24) [ 1; 2; 3; 4; 5; 6; 7; 8 ] land 0xffff_ffff)

  let add crc byte = (crc lsl 8) land 0xffff_ffff lxor table.((crc lsr 24) lxor byte)
  let add_string = String.fold_left (fun crc c -> add crc (Char.code c))
  let rec add_length crc n = if n = 0 then crc else add_length (add crc (n land 0xff)) (n lsr 8)
  let finish crc length = add_length crc length lxor 0xffff_ffff
end

module Tell (Store : Mirage_kv.RO) = struct
  let value result =
    Lwt.return (match result with Ok v -> v | Error e -> Fmt.failwith "%a" Store.pp_error e)

  (* In pieces of an odd size, so that they begin anywhere in a block. *)
  let file store key =
    Store.size store key >>= value >|= Optint.Int63.to_int >>= fun size ->
    let rec from offset crc =
      if offset = size then Lwt.return (Cksum.finish crc size)
      else
        let length = min 100_001 (size - offset) in
        Store.get_partial store key ~offset:(Optint.Int63.of_int offset) ~length >>= value
        >>= fun piece -> from (offset + String.length piece) (Cksum.add_string crc piece)
    in
    from 0 0 >|= fun crc ->
    (* A key begins with a slash. *)
    let path = Key.to_string key in
    Printf.printf "file %d %d %s\n" crc size (String.sub path 1 (String.length path - 1))

  let rec folder store key =
    Store.list store key >>= value
    >>= Lwt_list.iter_s (function
          | key, `Dictionary -> folder store key
          | key, `Value -> file store key)
end

module Tell_files = Tell (Mirust_files.Kv)

let () =
  Mirust.Main.run
    ( Mirust_files.Kv.connect "site" >>= fun store ->
      Tell_files.folder store Key.empty >>= fun () ->
      Mirust_files.Kv.get store (Key.v "docs") >>= fun folder ->
      assert (Result.is_error folder);
      Mirust_files.Kv.disconnect store >|= fun () -> print_endline "told" )
