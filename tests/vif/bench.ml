(* What a frame costs on its way through a device and back: lent against copied, by size; and the
   Internet checksum in both languages. Nanoseconds, the best of several runs. *)

open Lwt.Infix
open Mirust_vif
open Mirust_wire

let now () = Int64.to_int (Mirust.Mclock.elapsed_ns ())

let best f =
  let rec go n least =
    if n = 0 then Lwt.return least
    else
      let start = now () in
      f () >>= fun count -> go (n - 1) (min least (float (now () - start) /. float count))
  in
  go 7 infinity

let turn = Lwt.pause

let round_trips ~copy ~size () =
  Vif.connect ~limits:{ Vif.default_limits with receive_pages = 768 } (Fmt.str "loopback:%d" copy)
  >>= function
  | Error (`Msg m) -> failwith m
  | Ok device ->
      let got = ref 0 in
      device.on_receive (fun l -> got := !got + List.length l);
      let gso_size = if size > 1500 then 1448 else 0 in
      let payload = [ Cstruct.create (size - 54) ] in
      best (fun () ->
          got := 0;
          let rec go () =
            if !got >= 20_000 then Lwt.return !got
            else (
              for _ = 1 to 32 do
                let head = device.reserve 54 in
                ignore
                  (device.send
                     { head; payload; checksum_start = 34; checksum_offset = 16; gso_size })
              done;
              turn () >>= go)
          in
          go ())
      >|= fun ns ->
      device.disconnect ();
      ns

let checksum name f size =
  let b = Cstruct.create size in
  best (fun () ->
      for _ = 1 to 100_000 do
        ignore (Sys.opaque_identity (f b))
      done;
      Lwt.return 100_000)
  >|= fun ns -> Fmt.pr "checksum of %5d bytes in %s: %.1f ns@." size name ns

let main () =
  Lwt_list.iter_s
    (fun size ->
      round_trips ~copy:0 ~size () >>= fun lent ->
      round_trips ~copy:100_000 ~size () >|= fun copied ->
      Fmt.pr "frame of %5d bytes: lent %.0f ns, copied %.0f ns@." size lent copied)
    [ 64; 256; 512; 1024; 1514; 4096; 16_384; 65_000 ]
  >>= fun () ->
  Lwt_list.iter_s
    (fun size ->
      checksum "Rust" Vif.checksum size >>= fun () ->
      checksum "Rust or OCaml" (fun b -> Checksum.fold (Checksum.bytes Checksum.zero b)) size)
    [ 20; 64; 128; 256; 1460; 16_384 ]

let () = Mirust.Main.run (main ())
