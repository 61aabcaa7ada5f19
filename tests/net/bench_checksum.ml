(* Megabytes per second of the Internet checksum, for the sizes that matter. *)

open Mirust_wire

let () =
  List.iter
    (fun (size, shift) ->
      let b = Cstruct.shift (Cstruct.create (size + shift)) shift in
      for i = 0 to size - 1 do
        Cstruct.set_uint8 b i (i * 7 land 0xff)
      done;
      let rounds = 400_000_000 / size in
      let before = Gc.minor_words () and t0 = Unix.gettimeofday () in
      let sink = ref 0 in
      for _ = 1 to rounds do
        sink := !sink + Checksum.finish (Checksum.bytes Checksum.zero b)
      done;
      let t = Unix.gettimeofday () -. t0 in
      ignore (Sys.opaque_identity !sink);
      Printf.printf "%5d bytes at offset %d: %6.0f MB/s, %.1f words\n" size shift
        (float (rounds * size) /. t /. 1e6)
        ((Gc.minor_words () -. before) /. float rounds))
    [ (20, 0); (40, 0); (1460, 0); (1460, 1); (16384, 0); (65535, 3) ]
