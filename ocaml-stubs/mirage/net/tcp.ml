(* Our TCP as Mirage's functor [Tcp.Flow.Make], within the image's budget. *)

module Flow = struct
  module Make (Ip : Mirust_mirage_types.Ip_ext.S with type ipaddr = Ipaddr.t) = struct
    include Mirust_tcp_flow.Tcp.Flow.Make (Ip)

    let connect ip =
      connect ~config:(Mirust_net_image.tcp ()) ip
      |> Lwt.map (fun t ->
             Mirust_net_image.follow (engine t);
             t)
  end
end
