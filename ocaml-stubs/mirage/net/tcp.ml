module Flow = struct
  module Make (Ip : Mirust_mirage_types.Ip_ext.S with type ipaddr = Ipaddr.t) = struct
    include Mirust_tcp_flow.Tcp.Flow.Make (Ip)

    let connect ip = connect ~config:(Mirust_net_image.tcp ()) ip
  end
end
