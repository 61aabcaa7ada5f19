open Mirust_mirage_types
open Mirust_net_env
module W = Mirust_wire

module type S = Signature.S

let checksum_offset = 16

module Flow = struct
  module Make (I : Ip_ext.S with type ipaddr = Ipaddr.t) = struct
    module O = struct
      type t = I.t
      type path = I.path

      let path t ~src dst = Result.to_option (I.path t ~src dst)

      let source t dst =
        Lwt.map
          (function
            | Ok p when I.is_unicast p -> Ok (I.source p)
            | Ok _ -> Error "not an address of one host"
            | Error e -> Error (Fmt.to_to_string I.pp_error e))
          (I.route t dst)

      let mtu t dst = I.mtu t ~dst
      let lower_mtu p mtu = ignore (I.lower_mtu p mtu : bool)
      let confirm = I.confirm
      let max_segment = I.max_segment

      let output p ~tos ~gso_size ~size fill payload =
        match I.output p ~tos ~gso_size ~proto:`TCP ~checksum_offset ~size fill payload with
        | `Sent -> `Sent
        | `Full -> `Full
        | `Too_long -> `Too_long
        | `No_route -> `Lost

      let on_room = I.on_room
      let flush = I.flush

      let on_problem t f =
        I.on_problem t (fun ~proto ~src ~dst problem quoted ->
            match problem with
            | Too_big mtu when proto = 6 -> f ~src ~dst (`Too_big mtu) quoted
            | Unreachable why when proto = 6 -> f ~src ~dst (`Unreachable why) quoted
            | No_neighbour when proto = 6 -> f ~src ~dst `No_neighbour quoted
            | Too_big _ | Unreachable _ | Expired | No_neighbour -> ())
    end

    include Driver.Make (O)
  end

  module Make_plain (I : Tcpip.Ip.S with type ipaddr = Ipaddr.t) = struct
    module O = struct
      type t = I.t
      type path = { ip : I.t; src : Ipaddr.t; dst : Ipaddr.t }

      let path ip ~src dst = Some { ip; src; dst }

      let is_none = function
        | Ipaddr.V4 a -> Ipaddr.V4.compare a Ipaddr.V4.any = 0
        | Ipaddr.V6 a -> Ipaddr.V6.compare a Ipaddr.V6.unspecified = 0

      (* Mirage's IP does not say that an address is still to come, such as during duplicate detection, which takes a
         second. So the address is looked up again, for up to three seconds. *)
      let patience = Env.sec 3

      let source ip dst =
        let until = Env.now () + patience in
        let rec look () =
          match I.src ip ~dst with
          | src when is_none src && Env.now () < until -> Lwt.bind (Env.sleep (Env.ms 20)) look
          | src when is_none src -> Lwt.return_error "no address of ours"
          | src -> Lwt.return_ok src
        in
        look ()

      let mtu ip dst = I.mtu ip ~dst
      let lower_mtu _ _ = ()
      let confirm _ = ()
      let max_segment _ = 0

      (* Mirage's IP waits instead of saying that it is full; what waits is bounded by the connections' windows. *)
      let output p ~tos:_ ~gso_size:_ ~size fill payload =
        let length = size + Cstruct.lenv payload in
        let pseudo =
          W.Checksum.bytes W.Checksum.zero (I.pseudoheader p.ip ~src:p.src p.dst `TCP length)
        in
        (* Mirage's IP may call back later, but [fill] is valid only now. *)
        let head = Cstruct.create size in
        fill head 0;
        let sum = W.Checksum.bytes pseudo head in
        let sum = if size land 1 = 0 then W.Checksum.fragments sum payload else sum in
        Cstruct.BE.set_uint16 head checksum_offset (W.Checksum.finish sum);
        let fill b =
          Cstruct.blit head 0 b 0 size;
          size
        in
        Lwt.dont_wait
          (fun () ->
            Lwt.map
              (function
                | Ok () -> () | Error e -> Flows.Log.debug (fun m -> m "write: %a" I.pp_error e))
              (I.write p.ip ~fragment:false ~src:p.src p.dst `TCP ~size fill payload))
          (fun e ->
            Thin.warn Driver.lost (module Flows.Log) (fun () -> "write: " ^ Printexc.to_string e));
        `Sent

      let on_room _ _ = ()
      let flush _ = ()
      let on_problem _ _ = ()
    end

    include Driver.Make (O)
  end
end
