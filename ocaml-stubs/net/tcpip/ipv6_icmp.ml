(* ICMPv6: echo, errors in both directions; neighbour discovery goes on to its engine. *)

open Mirust_net_engine
open Mirust_net_env
open Mirust_mirage_types
open Ipv6_state
open Ipv6_output

(* Others provoke them. *)
let failures = Mirust_net_env.Thin.create ()

let send_icmp t ~src ~dst message =
  let b = Cstruct.create (W.Icmpv6.length message) in
  W.Icmpv6.emit ~src ~dst message b;
  Lwt.dont_wait
    (fun () -> Lwt.map ignore (write t ~src dst `ICMP (fun _ -> 0) [ b ]))
    (fun e -> Mirust_net_env.Thin.warn failures (module Log) (fun () -> Printexc.to_string e))

(* Errors are rationed, and never answer a group or a station without an address (RFC 4443 section
   2.4(e)); [group_too]: the two exceptions for groups. What is not sent is not made. *)
let send_error t ?(group_too = false) ~src ~dst message =
  let source_ok = not (is_multicast src || Ipaddr.V6.compare src Ipaddr.V6.unspecified = 0) in
  if
    source_ok
    && ((not (is_multicast dst)) || group_too)
    && Errors.take t.errors ~to_:(Ipaddr.V6.to_octets src)
  then
    let from = if Ndp_engine.is_local t.ndp dst then Some dst else find_source t src in
    Option.iter (fun from -> send_icmp t ~src:from ~dst:src (message ())) from

let max_quoted = 1280 - header - 8

(* The header that came is not kept; the fields that matter to the sender are known. *)
let quote_transport ~src ~dst ~proto transport =
  let kept = min (Cstruct.length transport) (max_quoted - header) in
  let quoted = Cstruct.create (header + kept) in
  emit_header ~src ~dst ~traffic_class:0 ~next_header:proto ~hop_limit:64
    ~length:(min 0xffff (Cstruct.length transport))
    quoted;
  Cstruct.blit transport 0 quoted header kept;
  quoted

let reject t ~src ~dst ~proto reason transport =
  send_error t ~src ~dst (fun () ->
      Unreachable { reason; quoted = quote_transport ~src ~dst ~proto transport })

(* Where the quoted header has its next header. *)
let next_header = 6

let reject_protocol t ~src ~dst ~proto transport =
  send_error t ~src ~dst (fun () ->
      let quoted = quote_transport ~src ~dst ~proto transport in
      Parameter_problem { code = 1; pointer = next_header; quoted })

let quote data = Cstruct.sub data 0 (min (Cstruct.length data) max_quoted)

let chain_error t ~src ~dst data (e : W.Ipv6.chain_error) =
  let problem ?group_too code pointer =
    send_error t ?group_too ~src ~dst (fun () ->
        Parameter_problem { code; pointer; quoted = quote data })
  in
  match e with
  | Chain_truncated | Too_many_headers -> ()
  | Misplaced_hop_by_hop at -> problem 1 at
  | Unknown_option { report = `No; _ } -> ()
  | Unknown_option { offset; report = `Unicast } -> problem 2 offset
  | Unknown_option { offset; report = `Always } -> problem ~group_too:true 2 offset
  | Unknown_routing at -> problem 0 at
  | Bad_fragment_length at -> problem 0 at

let report_problem t (problem : Ip_ext.problem) quoted =
  match W.Ipv6.header_of_packet quoted with
  | Error _ -> ()
  | Ok h when not (Ndp_engine.is_local t.ndp h.src) -> ()
  | Ok h -> (
      match
        W.Ipv6.follow ~next_header:h.next_header ~offset:header (Cstruct.shift quoted header)
      with
      | Ok { proto; data; fragment; router_alert = _ } ->
          let first = match fragment with None -> true | Some f -> f.offset = 0 in
          (match problem with
          | Too_big n when proto <> 6 ->
              ignore (Pmtu.lower t.pmtu ~now:(Env.now ()) h.dst n ~link:(link_mtu t))
          | Too_big _ | Unreachable _ | Expired | No_neighbour -> ());
          if first && Cstruct.length data >= 8 then
            tell_problem t ~proto ~src:h.src ~dst:h.dst problem data
      | Error _ -> ())

let icmp t ~src ~dst ~hop_limit data =
  match W.Icmpv6.parse ~src ~dst data with
  | Error e -> Log.debug (fun m -> m "from %a: dropped: %a" Ipaddr.V6.pp src W.Icmpv6.pp_error e)
  | Ok
      (( Router_solicitation _ | Router_advertisement _ | Neighbour_solicitation _
       | Neighbour_advertisement _ | Redirect _ | Listener_query _ ) as m) ->
      let before = Ndp_engine.generation t.ndp in
      perform_all t (Ndp_engine.input t.ndp ~now:(Env.now ()) ~src ~dst ~hop_limit m);
      if Ndp_engine.generation t.ndp <> before then Lwt_condition.broadcast t.changed ()
  | Ok (Echo_request _) when not (Bucket.take t.echoes ~now:(Env.now ())) -> ()
  | Ok (Echo_request { id; seq; data }) ->
      let from = if is_multicast dst then find_source t src else Some dst in
      Option.iter (fun from -> send_icmp t ~src:from ~dst:src (Echo_reply { id; seq; data })) from
  | Ok (Echo_reply { id; seq; _ }) -> Pings.answered t.pings ~id ~seq
  | Ok (Packet_too_big { mtu; quoted }) -> report_problem t (Too_big mtu) quoted
  | Ok (Time_exceeded { quoted; _ }) -> report_problem t Expired quoted
  | Ok (Parameter_problem { code = 1; quoted; _ }) ->
      report_problem t (Unreachable `Protocol) quoted
  | Ok (Unreachable { reason; quoted }) ->
      let reason =
        match reason with
        | No_route | Beyond_scope | Unreachable_code _ -> `Network
        | Prohibited -> `Prohibited
        | Address -> `Host
        | Port -> `Port
      in
      report_problem t (Unreachable reason) quoted
  | Ok (Parameter_problem _ | Listener_report _) -> ()

let ping t ?(timeout = Env.sec 1) ?(payload = Cstruct.empty) dst =
  match find_source t dst with
  | None -> Lwt.return_error `No_route
  | Some from ->
      Pings.ping t.pings ~timeout (fun ~id ~seq ->
          let message = W.Icmpv6.Echo_request { id; seq; data = payload } in
          let b = Cstruct.create (W.Icmpv6.length message) in
          W.Icmpv6.emit ~src:from ~dst message b;
          write t ~src:from dst `ICMP (fun _ -> 0) [ b ])
