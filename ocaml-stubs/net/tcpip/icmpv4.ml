open Mirust_net_env
module W = Mirust_wire

module type S = Mirust_mirage_types.Icmpv4.S

let src = Logs.Src.create "mirust.icmpv4" ~doc:"ICMP"

module Log = (val Logs.src_log src : Logs.LOG)

(* Others provoke them. *)
let failures = Mirust_net_env.Thin.create ()

module Make (I : Mirust_mirage_types.Tcpip.Ip.S with type ipaddr = Ipaddr.V4.t) = struct
  type ipaddr = Ipaddr.V4.t
  type error = I.error

  let pp_error = I.pp_error

  type t = { ip : I.t; pings : Pings.t; errors : Errors.t; echoes : Bucket.t }

  let connect ip =
    Lwt.return
      {
        ip;
        pings = Pings.create ();
        errors = Errors.create ();
        echoes = Bucket.create ~rate:1000 ~burst:1000;
      }

  let disconnect _ = Lwt.return_unit
  let write t ?src ~dst ?ttl message = I.write t.ip ?ttl ?src dst `ICMP (fun _ -> 0) [ message ]

  let send t ?src ~dst message =
    let b = Cstruct.create (W.Icmpv4.length message) in
    W.Icmpv4.emit message b;
    write t ?src ~dst b

  let in_background promise =
    Lwt.dont_wait
      (fun () ->
        Lwt.map
          (function Ok () -> () | Error e -> Log.debug (fun m -> m "not sent: %a" I.pp_error e))
          (promise ()))
      (fun e -> Mirust_net_env.Thin.warn failures (module Log) (fun () -> Printexc.to_string e))

  (* The source address for an own address is that address. *)
  let is_ours t dst = Ipaddr.V4.compare (I.src t.ip ~dst) dst = 0

  let input t ~src ~dst b =
    match W.Icmpv4.parse b with
    | Ok (Echo_request { id; seq; data }) ->
        (* Not to a broadcast: the answers of a whole network have been used to flood third parties. *)
        if is_ours t dst && Bucket.take t.echoes ~now:(Env.now ()) then
          in_background (fun () -> send t ~src:dst ~dst:src (Echo_reply { id; seq; data }));
        Lwt.return_unit
    | Ok (Echo_reply { id; seq; _ }) ->
        Pings.answered t.pings ~id ~seq;
        Lwt.return_unit
    | Ok ((Unreachable _ | Time_exceeded _ | Parameter_problem _ | Redirect _) as m) ->
        Log.debug (fun f -> f "from %a: %a" Ipaddr.V4.pp src W.Icmpv4.pp m);
        Lwt.return_unit
    | Error e ->
        Log.debug (fun m -> m "dropped: %a" W.Icmpv4.pp_error e);
        Lwt.return_unit

  let ping t ?(timeout = Env.sec 1) ?(payload = Cstruct.empty) dst =
    Pings.ping t.pings ~timeout (fun ~id ~seq ->
        send t ~dst (Echo_request { id; seq; data = payload }))

  let reject t ~src ~dst ~proto reason transport =
    if is_ours t dst && Errors.take t.errors ~to_:(Ipaddr.V4.to_octets src) then (
      (* The header that came is not kept; the fields that matter to the sender are known. *)
      let quoted = min (Cstruct.length transport) 8 in
      let header : W.Ipv4.t =
        {
          src;
          dst;
          proto;
          ttl = 64;
          tos = 0;
          id = 0;
          dont_fragment = true;
          more_fragments = false;
          fragment_offset = 0;
          options = Cstruct.empty;
          payload_length = min (Cstruct.length transport) (0xffff - W.Ipv4.min_header_length);
        }
      in
      let b = Cstruct.create (W.Ipv4.min_header_length + quoted) in
      W.Ipv4.emit header b;
      Cstruct.blit transport 0 b W.Ipv4.min_header_length quoted;
      in_background (fun () -> send t ~src:dst ~dst:src (Unreachable { reason; quoted = b })))
end
