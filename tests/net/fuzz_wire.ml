(* Every parser ({!Parsers}) on random bytes, on damaged good packets and on every prefix of them. The first argument
   is a number of rounds, the second a seed. *)

open Mirust_wire
open Parsers

let rounds = try int_of_string Sys.argv.(1) with _ -> 20_000
let seed = try int_of_string Sys.argv.(2) with _ -> 1
let rng = Random.State.make [| seed |]
let int n = Random.State.int rng n

(* The view starts and ends inside a larger buffer filled with other bytes: an access outside the
   view shows as an exception, not as luck. *)
let random_bytes len =
  let b = Cstruct.create (len + 16) in
  for i = 0 to len + 15 do
    Cstruct.set_uint8 b i (int 256)
  done;
  Cstruct.sub b 7 len

let damage b =
  let b = Cstruct.of_string (Cstruct.to_string b) in
  for _ = 0 to int 4 do
    if Cstruct.length b > 0 then Cstruct.set_uint8 b (int (Cstruct.length b)) (int 256)
  done;
  if int 3 = 0 then Cstruct.sub b 0 (int (Cstruct.length b + 1)) else b

let v4 () = Field.v4_of_int (int 0x3fffffff)
let v6 () = Ipaddr.V6.of_octets_exn (Cstruct.to_string (random_bytes 16))

let good_tcp () =
  let options =
    {
      Tcp.mss = (if int 2 = 0 then -1 else int 0x10000);
      window_scale = int 16 - 1;
      sack_permitted = int 2 = 0;
      sack = List.init (int 5) (fun _ -> (int 0x3fffffff, int 0x3fffffff));
      ts_value = (if int 2 = 0 then -1 else int 0x3fffffff);
      ts_echo = 0;
    }
  in
  let options = if options.ts_value < 0 then { options with ts_echo = -1 } else options in
  emitted 80 (fun b ->
      ignore
        (Tcp.emit
           {
             src_port = 1;
             dst_port = 2;
             seq = int 0x3fffffff;
             ack = 0;
             flags = int 256;
             window = 7;
             urgent = 0;
             options;
             header_length = 0;
           }
           b))

let good_ipv4 () =
  let payload_length = int 64 * 8 in
  emitted (20 + payload_length) (fun b ->
      Ipv4.emit
        {
          src = v4 ();
          dst = v4 ();
          proto = int 256;
          ttl = 64;
          tos = 0;
          id = 1;
          dont_fragment = false;
          more_fragments = int 2 = 0;
          fragment_offset = int 100 * 8;
          options = Cstruct.empty;
          payload_length;
        }
        b)

let good_ipv6 () =
  let chain = random_bytes 80 in
  let header = [| 0; 43; 44; 60; 6; 17; 58; 59 |] in
  for i = 0 to 9 do
    Cstruct.set_uint8 chain (i * 8) header.(int 8);
    Cstruct.set_uint8 chain ((i * 8) + 1) (int 2)
  done;
  emitted 120 (fun b ->
      Ipv6.emit
        {
          src;
          dst;
          traffic_class = 0;
          flow_label = 0;
          next_header = header.(int 8);
          hop_limit = 64;
          payload_length = 80;
        }
        b;
      Cstruct.blit chain 0 b 40 80)

let good_ndp () =
  let m = int 2 = 0 in
  let o =
    {
      Icmpv6.source_link = (if m then Some Macaddr.broadcast else None);
      target_link = None;
      mtu = Some (int 2000);
      prefixes =
        [
          {
            prefix = Ipaddr.V6.Prefix.make 64 (v6 ());
            on_link = m;
            autonomous = not m;
            valid = int 9999;
            preferred = int 9999;
          };
        ];
      dns = [ (int 9999, [ v6 (); v6 () ]) ];
    }
  in
  let message =
    match int 4 with
    | 0 -> Icmpv6.Router_solicitation o
    | 1 ->
        Router_advertisement
          {
            hop_limit = 64;
            managed = m;
            other = m;
            lifetime = int 9000;
            reachable = 0;
            retransmit = 0;
            options = o;
          }
    | 2 -> Neighbour_solicitation { target = v6 (); options = o }
    | _ -> Redirect { target = v6 (); destination = v6 (); options = o }
  in
  emitted (Icmpv6.length message) (Icmpv6.emit ~src ~dst message)

let good = [| good_tcp; good_ipv4; good_ipv6; good_ndp; (fun () -> random_bytes (int 200)) |]

let () =
  for round = 1 to rounds do
    let b = good.(int (Array.length good)) () in
    let b = if int 4 = 0 then b else damage b in
    List.iter
      (fun (name, parse) ->
        let copy = Cstruct.sub (Cstruct.append b (random_bytes 3)) 0 (Cstruct.length b) in
        try parse copy
        with e ->
          Printf.printf "%s, seed %d, round %d: %s on %s\n" name seed round (Printexc.to_string e)
            (Cstruct.to_hex_string b);
          exit 1)
      parsers
  done;
  Printf.printf "%d rounds, seed %d: ok\n" rounds seed
