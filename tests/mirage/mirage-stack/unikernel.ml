(* What Mirage's code expects of a network and of a disk, with Mirage's names alone. *)

open Lwt.Infix

let peer =
  Mirage_runtime.register_arg
    Cmdliner.Arg.(
      value
      & opt (some string) None
      & info [ "resets" ] ~docv:"IP:PORT" ~doc:"A server that resets what is connected to it.")

let leave =
  Mirage_runtime.register_arg
    Cmdliner.Arg.(value & flag & info [ "leave" ] ~doc:"Call exit, with a hook that takes a moment.")

let passed = ref 0

let check name condition =
  if condition then (
    incr passed;
    Printf.printf "ok %s\n%!" name)
  else failwith ("not so: " ^ name)

module Disk (B : Mirage_block.S) = struct
  let check b =
    B.get_info b >>= fun { Mirage_block.read_write; sector_size; size_sectors } ->
    check "a disk that can be written" (read_write && sector_size >= 512 && size_sectors >= 16L);
    let sector c = Cstruct.of_string (String.make sector_size c) in
    let last = Int64.pred size_sectors in
    B.write b (Int64.pred last) [ sector 'a'; sector 'b' ] >>= fun written ->
    check "two sectors are written" (written = Ok ());
    let b1 = Cstruct.create sector_size and b2 = Cstruct.create sector_size in
    B.read b (Int64.pred last) [ b1; b2 ] >>= fun read ->
    check "and read" (read = Ok () && Cstruct.equal b1 (sector 'a') && Cstruct.equal b2 (sector 'b'));
    B.read b last [ Cstruct.create (2 * sector_size) ] >>= fun beyond ->
    B.write b size_sectors [ sector 'c' ] >|= fun behind ->
    check "nothing beyond the end" (Result.is_error beyond && Result.is_error behind)
end

module Main (S : Tcpip.Stack.V4V6) (B : Mirage_block.S) = struct
  module D = Disk (B)
  module TCP = S.TCP

  let rec echo flow =
    TCP.read flow >>= function
    | Ok (`Data b) -> (
        TCP.write flow b >>= function Ok () -> echo flow | Error _ -> TCP.close flow)
    | Ok `Eof | Error _ -> TCP.close flow

  let rec read_to_end flow acc =
    TCP.read flow >>= function
    | Ok (`Data b) -> read_to_end flow (acc + Cstruct.length b)
    | Ok `Eof -> Lwt.return_ok acc
    | Error e -> Lwt.return_error (Fmt.to_to_string TCP.pp_error e)

  (* At once, by one's own address: the first thing that many unikernels do. *)
  let to_oneself s address =
    let keepalive =
      { Tcpip.Tcp.Keepalive.after = Duration.of_sec 10; interval = Duration.of_sec 1; probes = 3 }
    in
    TCP.create_connection ~keepalive (S.tcp s) (address, 7) >>= function
    | Error e -> Fmt.failwith "%a" TCP.pp_error e
    | Ok flow ->
        let data = Cstruct.create 100_000 in
        Lwt.both
          (read_to_end flow 0)
          (TCP.writev flow [ data; data ] >>= fun r ->
           TCP.shutdown flow `write >|= fun () -> r)
        >>= fun (came, went) ->
        check "TCP to oneself" (came = Ok 200_000 && went = Ok ());
        TCP.close flow

  let datagram_to_oneself s address =
    let got, resolver = Lwt.wait () in
    S.UDP.listen (S.udp s) ~port:4000 (fun ~src ~dst:_ ~src_port b ->
        if Lwt.is_sleeping got then Lwt.wakeup_later resolver (src, src_port, Cstruct.to_string b);
        Lwt.return_unit);
    S.UDP.write ~src_port:4001 ~dst:address ~dst_port:4000 (S.udp s) (Cstruct.of_string "hello")
    >>= fun sent ->
    check "a datagram to oneself" (sent = Ok ());
    got >|= fun (src, port, text) ->
    check "comes from oneself" (Ipaddr.compare src address = 0 && port = 4001 && text = "hello")

  (* As Mirage's stack has it: a reading end learns of the end, whatever it was, and no more. *)
  let end_after_reset s (address, port) =
    TCP.create_connection (S.tcp s) (address, port) >>= function
    | Error e -> Fmt.failwith "%a" TCP.pp_error e
    | Ok flow ->
        TCP.write flow (Cstruct.of_string "x") >>= fun _ ->
        read_to_end flow 0 >>= fun read ->
        check "the end of file after a reset" (Result.is_ok read);
        TCP.write flow (Cstruct.of_string "x") >>= fun written ->
        check "and no more writing" (Result.is_error written);
        TCP.close flow

  let refused s address =
    TCP.create_connection (S.tcp s) (address, 9) >|= fun r ->
    check "a port where nobody listens" (match r with Error `Refused -> true | _ -> false)

  let start s b =
    let addresses = S.IP.configured_ips (S.ip s) in
    Printf.printf "addresses: %s\n%!" (Fmt.str "%a" Fmt.(list ~sep:(any " ") S.IP.pp_prefix) addresses);
    check "a stack has addresses" (addresses <> []);
    S.UDP.listen (S.udp s) ~port:7 (fun ~src ~dst:_ ~src_port b ->
        S.UDP.write ~src_port:7 ~dst:src ~dst_port:src_port (S.udp s) b >|= ignore);
    TCP.listen (S.tcp s) ~port:7 echo;
    D.check b >>= fun () ->
    Lwt_list.iter_s
      (fun prefix ->
        let address = Ipaddr.Prefix.address prefix in
        to_oneself s address >>= fun () ->
        datagram_to_oneself s address >>= fun () -> refused s address)
      addresses
    >>= fun () ->
    (match peer () with
    | None -> Lwt.return_unit
    | Some peer -> (
        match Ipaddr.with_port_of_string ~default:0 peer with
        | Ok peer -> end_after_reset s peer
        | Error (`Msg m) -> failwith m))
    >>= fun () ->
    Printf.printf "stack: %d checks passed\n%!" !passed;
    if leave () then (
      Mirage_runtime.at_exit (fun () ->
          Mirage_sleep.ns 1_000_000L >|= fun () -> print_endline "a hook that sleeps");
      exit 3);
    S.listen s
end
