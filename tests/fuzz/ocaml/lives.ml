open Mirust_wire
open Mirust_net_engine

let second = 1_000_000_000
let mac n = Macaddr.of_octets_exn (Printf.sprintf "\x02\x00\x00\x00\x00%c" (Char.chr n))
let failf fmt = Printf.ksprintf failwith fmt

(* Until the bytes are used up, and at most so often. *)
let rec live c n f =
  if n > 0 && Choices.left c > 0 then (
    f ();
    live c (n - 1) f)

let pass_time c now =
  now := !now + [| 0; 1; second; 10 * second; 3600 * second; 1_000_000 * second |].(Choices.int c 6)

(* ---- DHCP: a client, and servers that answer what was not asked ---- *)

let dhcp bytes =
  let c = Choices.create bytes in
  let now = ref 0 and xid = ref 0 in
  let t = Dhcp_engine.create ~random:(Choices.random c) (mac 1) in
  let sent (m : Dhcpv4.t) =
    xid := m.xid;
    ignore (Dhcpv4.parse (Dhcpv4.emit m) |> Result.get_ok : Dhcpv4.t)
  in
  let act = function
    | Dhcp_engine.Broadcast m | Unicast { message = m; _ } -> sent m
    | Configure l ->
        let a = Ipaddr.V4.Prefix.address l.address in
        if Ipaddr.V4.is_multicast a || a = Ipaddr.V4.any || a = Ipaddr.V4.broadcast then
          failf "configured as %s" (Ipaddr.V4.to_string a);
        if Dhcp_engine.lease t = None then failwith "configured without a lease"
    | Deconfigure | Unusable _ | Silence _ -> ()
  in
  let address () =
    Ipaddr.V4.of_int32
      [| 0x0a000001l; 0x0a000002l; 0l; -1l; 0xe0000001l; 0x7f000001l; 0x0a0000ffl |].(Choices.int c
                                                                                        7)
  in
  let maybe f = if Choices.int c 3 = 0 then None else Some (f ()) in
  let number () = [| 0; 1; 60; 86400; 0x7fffffff; 0xffffffff |].(Choices.int c 6) in
  let answer () =
    let kind = [| Dhcpv4.Offer; Ack; Nak; Discover; Request |].(Choices.int c 5) in
    {
      (Dhcpv4.empty kind
         ~reply:(Choices.int c 8 > 0)
         ~xid:(!xid lxor (Choices.int c 8 / 7))
         (mac (1 + (Choices.int c 8 / 7))))
      with
      your = address ();
      subnet_mask =
        maybe (fun () ->
            Ipaddr.V4.of_int32
              [| 0xffffff00l; 0l; -1l; 0xff00ff00l; 0xfffffffel |].(Choices.int c 5));
      routers = List.init (Choices.int c 3) (fun _ -> address ());
      dns = List.init (Choices.int c 3) (fun _ -> address ());
      mtu = maybe number;
      lease_time = maybe number;
      renewal_time = maybe number;
      rebinding_time = maybe number;
      server = maybe address;
      domain_name = maybe (fun () -> Choices.take c (Choices.int c 20));
    }
  in
  List.iter act (Dhcp_engine.start t ~now:!now);
  live c 60 (fun () ->
      let actions =
        match Choices.int c 10 with
        | 0 -> (
            let raw = Cstruct.of_string (Choices.take c 300) in
            match Dhcpv4.parse raw with
            | Ok m -> Dhcp_engine.input t ~now:!now { m with xid = !xid; mac = mac 1 }
            | Error _ -> [])
        | 1 -> Dhcp_engine.link_changed t ~now:!now
        | 2 when Dhcp_engine.lease t <> None -> Dhcp_engine.declined t ~now:!now
        | 3 | 4 ->
            pass_time c now;
            Dhcp_engine.tick t ~now:!now
        | 5 -> (
            match Dhcp_engine.next t with
            | None -> []
            | Some at ->
                now := max !now at;
                Dhcp_engine.tick t ~now:!now)
        | _ -> Dhcp_engine.input t ~now:!now (answer ())
      in
      List.iter act actions);
  List.iter act (Dhcp_engine.stop t ~now:!now)

(* ---- DNS: a resolver, and servers that say anything ---- *)

let resolver bytes =
  let c = Choices.create bytes in
  let now = ref 0 and next = ref 0 and waiting = Hashtbl.create 8 and asked = ref [] in
  let config = { Dns_engine.default with cache = 4; in_flight = 4; aliases = 3 } in
  let t = Dns_engine.create ~config ~random:(Choices.random c) () in
  let server = Ipaddr.of_string_exn "10.0.0.53" in
  let act = function
    | Dns_engine.Ask { port; message; _ } | Ask_tcp { port; message; _ } ->
        asked := (port, Result.get_ok (Dns.parse message)) :: !asked
    | Release port -> asked := List.filter (fun (p, _) -> p <> port) !asked
    | Answer { waiters; result } ->
        if result = Ok [] then failwith "an empty answer";
        List.iter
          (fun w ->
            if not (Hashtbl.mem waiting w) then failf "%d was answered twice" w;
            Hashtbl.remove waiting w)
          waiters
  in
  let names = [| "a.example"; "b.example"; "c.example"; "d.e.f" |] in
  let name () = Domain_name.(host_exn (of_string_exn names.(Choices.int c 4))) in
  let record (q : Dns.name) =
    {
      Dns.name = (if Choices.int c 3 = 0 then Domain_name.raw (name ()) else q);
      ttl = [| 0; 1; 100; 0x7fffffff |].(Choices.int c 4);
      data =
        (match Choices.int c 5 with
        | 0 | 1 -> Address (Ipaddr.V4.of_int32 (Int32.of_int (Choices.int c 256)))
        | 2 -> Address6 Ipaddr.V6.localhost
        | 3 -> Alias (Domain_name.raw (name ()))
        | _ -> Authority { minimum = Choices.int c 0x10000 });
    }
  in
  let answer (q : Dns.t) =
    let name = fst q.question in
    {
      q with
      response = Choices.int c 16 > 0;
      id = q.id lxor (Choices.int c 16 / 15);
      truncated = Choices.int c 8 = 7;
      rcode = [| 0; 0; 0; 3; 2; 5 |].(Choices.int c 6);
      answers = List.init (Choices.int c 5) (fun _ -> record name);
      authority = List.init (Choices.int c 2) (fun _ -> record name);
    }
  in
  let with_one f =
    match !asked with [] -> [] | l -> f (List.nth l (Choices.int c (List.length l)))
  in
  live c 60 (fun () ->
      let actions =
        match Choices.int c 8 with
        | 0 | 1 ->
            incr next;
            Hashtbl.replace waiting !next ();
            let servers = if Choices.int c 8 = 7 then [] else [ server ] in
            Dns_engine.resolve t ~now:!now ~servers (name ())
              (if Choices.int c 2 = 0 then A else Aaaa)
              !next
        | 2 ->
            pass_time c now;
            Dns_engine.tick t ~now:!now
        | 3 -> with_one (fun (port, _) -> Dns_engine.failed t ~now:!now ~port)
        | 4 ->
            with_one (fun (port, q) ->
                let raw = Cstruct.of_string (Choices.take c 60) in
                if Cstruct.length raw >= 2 then Cstruct.BE.set_uint16 raw 0 q.id;
                Dns_engine.input t ~now:!now ~server ~port raw)
        | _ ->
            with_one (fun (port, q) ->
                let message = Dns.emit (answer q) in
                (* The letters of the question stand in the message as they were asked. *)
                Dns_engine.input t ~now:!now ~server ~port message)
      in
      List.iter act actions;
      if Dns_engine.cached t > 4 then failf "%d entries" (Dns_engine.cached t);
      if Dns_engine.pending t > 4 then failf "%d questions" (Dns_engine.pending t));
  (* Silence, and everyone hears of it. *)
  let rec finish n =
    match Dns_engine.next t with
    | Some at when n > 0 && Dns_engine.pending t > 0 ->
        now := max (!now + 1) at;
        List.iter act (Dns_engine.tick t ~now:!now);
        finish (n - 1)
    | Some _ | None -> ()
  in
  finish 1000;
  if Hashtbl.length waiting > 0 then failf "%d were never answered" (Hashtbl.length waiting)

(* ---- Fragments ---- *)

let reassembly bytes =
  let c = Choices.create bytes in
  let config = { Reassembly.memory = 4096; packets = 3; fragments = 5; timeout = 30 * second } in
  let t = Reassembly.create config and now = ref 0 in
  live c 100 (fun () ->
      (match Choices.int c 8 with
      | 0 ->
          pass_time c now;
          Reassembly.tick t ~now:!now
      | _ -> (
          let offset = [| 0; 8; 16; 24; 1480; 65528; 8 * Choices.int c 100 |].(Choices.int c 7) in
          let length = [| 0; 1; 7; 8; 16; 1480; 8 * Choices.int c 20 |].(Choices.int c 7) in
          let data = Cstruct.create length in
          Cstruct.memset data (offset land 0xff);
          let more = Choices.int c 3 > 0 in
          match Reassembly.add t ~now:!now (Choices.int c 5) ~offset ~more data with
          | Complete whole when Cstruct.length whole > 65535 -> failwith "too long a packet"
          | Complete _ | Pending | Dropped _ -> ()));
      if Reassembly.memory t > config.memory || Reassembly.memory t < 0 then
        failf "%d bytes in use" (Reassembly.memory t));
  Reassembly.tick t ~now:max_int;
  if Reassembly.memory t <> 0 then failf "%d bytes are left" (Reassembly.memory t)

(* ---- Neighbours and routers of IPv6 ---- *)

let ndp bytes =
  let c = Choices.create bytes in
  let t : int Ndp_engine.t = Ndp_engine.create Ndp_engine.default (mac 1) in
  let now = ref 0 in
  let ignore_all : int Ndp_engine.action list -> unit = ignore in
  ignore_all (Ndp_engine.start t ~now:0);
  let addresses =
    Array.map Ipaddr.V6.of_string_exn
      [|
        "fe80::ff:fe00:1";
        "fe80::ff:fe00:2";
        "2001:db8::1";
        "ff02::1";
        "ff02::1:ff00:1";
        "::";
        "::1";
      |]
  in
  let address () = addresses.(Choices.int c (Array.length addresses)) in
  live c 60 (fun () ->
      match Choices.int c 6 with
      | 0 ->
          pass_time c now;
          ignore_all (Ndp_engine.tick t ~now:!now)
      | 1 -> ignore_all (Ndp_engine.send t ~now:!now (address ()) 1)
      | 2 -> ignore_all (Ndp_engine.announce_again t ~now:!now)
      | _ -> (
          let src = address () and dst = address () in
          let kind = [| 133; 134; 135; 136; 137; 130; 128; 1 |].(Choices.int c 8) in
          let body = Choices.take c (4 + Choices.int c 80) in
          let b = Cstruct.of_string (Printf.sprintf "%c\000\000\000%s" (Char.chr kind) body) in
          let pseudo = Checksum.pseudo_v6 ~src ~dst ~proto:58 ~len:(Cstruct.length b) in
          Field.set_u16 b 2 (Checksum.finish (Checksum.bytes pseudo b));
          match Icmpv6.parse ~src ~dst b with
          | Error _ -> ()
          | Ok m ->
              let hop_limit = if Choices.int c 8 = 7 then 64 else 255 in
              ignore_all (Ndp_engine.input t ~now:!now ~src ~dst ~hop_limit m);
              if Ndp_engine.hop_limit t < 64 then failf "hop limit %d" (Ndp_engine.hop_limit t);
              if Ndp_engine.mtu t < 1280 then failf "MTU %d" (Ndp_engine.mtu t)))

(* ---- A whole stack, and a stranger's frames ---- *)

let stack bytes =
  let open Mirust_net_mock in
  let open Mirust_stack in
  let c = Choices.create bytes in
  let mock = Mock.install () in
  let network = Network.create () in
  let device = Network.attach network (mac 2) in
  let receive = ref ignore in
  let on_receive f =
    receive := f;
    device.on_receive f
  in
  let v4 n = Ipaddr.V4.make 10 0 0 n in
  let ipv4 = `Static { Stack.cidr = Ipaddr.V4.Prefix.make 24 (v4 2); gateway = Some (v4 9) } in
  let config = { Stack.default with ipv4 } in
  let victim = Mock.run mock (Stack.attach config { device with on_receive }) in
  let open Lwt.Infix in
  Stack.TCP.listen (Stack.tcp victim) ~port:7 (fun flow ->
      Stack.TCP.read flow >>= fun _ -> Stack.TCP.close flow);
  Stack.UDP.listen (Stack.udp victim) ~port:9 (fun ~src:_ ~dst:_ ~src_port:_ _ -> Lwt.return_unit);
  Mock.advance mock (2 * second);
  let ethernet kind payload =
    let b = Cstruct.create (14 + String.length payload) in
    Field.set_mac b 0 (if Choices.int c 4 = 3 then Macaddr.broadcast else mac 2);
    Field.set_mac b 6 (mac (1 + Choices.int c 3));
    Field.set_u16 b 12 kind;
    Cstruct.blit_from_string payload 0 b 14 (String.length payload);
    b
  in
  let ip4 () =
    let proto = [| 6; 17; 1; 2; 47; 255 |].(Choices.int c 6) in
    let flags = Choices.int c 8 in
    let body = Choices.take c (Choices.int c 120) in
    let b = ethernet 0x0800 (String.make 20 '\000' ^ body) in
    Mirust_wire.Ipv4.emit
      {
        src = v4 [| 1; 3; 2; 9; 255; 0 |].(Choices.int c 6);
        dst = v4 [| 2; 2; 2; 255 |].(Choices.int c 4);
        proto;
        ttl = 64;
        tos = 0;
        id = 1;
        dont_fragment = flags = 7;
        more_fragments = flags = 6;
        fragment_offset = (if flags >= 5 then 8 * Choices.int c 200 else 0);
        options = Cstruct.empty;
        payload_length = String.length body;
      }
      (Cstruct.shift b 14);
    b
  in
  let ip6 () =
    let next_header = [| 6; 17; 58; 0; 43; 44; 60; 59 |].(Choices.int c 8) in
    let body = Choices.take c (Choices.int c 120) in
    let b = ethernet 0x86dd (String.make 40 '\000' ^ body) in
    Mirust_wire.Ipv6.emit
      {
        src = Ndp_engine.link_local (mac (1 + Choices.int c 3));
        dst =
          (if Choices.int c 3 = 2 then Ipaddr.V6.of_string_exn "ff02::1"
           else Ndp_engine.link_local (mac 2));
        traffic_class = 0;
        flow_label = 0;
        next_header;
        hop_limit = 255;
        payload_length = String.length body;
      }
      (Cstruct.shift b 14);
    b
  in
  let frame () =
    let b =
      match Choices.int c 5 with
      | 0 -> Cstruct.of_string (Choices.take c (Choices.int c 120))
      | 1 -> ethernet 0x0806 (Choices.take c 28)
      | 2 | 3 -> ip4 ()
      | _ -> ip6 ()
    in
    let checksum = [| `Valid; `Valid; `Unknown; `Blank |].(Choices.int c 4) in
    Mirust_wire.Packet.v ~checksum
      ~gso_size:(if Choices.int c 10 = 9 then Choices.int c 3000 else 0)
      b
  in
  live c 40 (fun () ->
      match Choices.int c 5 with
      | 0 -> Mock.advance mock [| 1; 1_000_000; second; 60 * second |].(Choices.int c 4)
      | _ -> !receive (List.init (1 + Choices.int c 3) (fun _ -> frame ())));
  Mock.advance mock second;
  ignore (Mock.run mock (Stack.disconnect victim) : unit)
