module Ip = struct
  type error = [ `No_route of string | `Would_fragment ]

  module type S = sig
    type nonrec error = private [> error ]

    val pp_error : error Fmt.t

    type ipaddr
    type prefix

    val pp_ipaddr : ipaddr Fmt.t
    val pp_prefix : prefix Fmt.t

    type t

    val src : t -> dst:ipaddr -> ipaddr
    val configured_ips : t -> prefix list
    val mtu : t -> dst:ipaddr -> int
  end
end

module Udp = struct
  module type S = sig
    type error

    val pp_error : error Fmt.t

    type ipaddr
    type t
    type callback = src:ipaddr -> dst:ipaddr -> src_port:int -> Cstruct.t -> unit Lwt.t

    val listen : t -> port:int -> callback -> unit
    val unlisten : t -> port:int -> unit

    val write :
      ?src:ipaddr ->
      ?src_port:int ->
      ?ttl:int ->
      dst:ipaddr ->
      dst_port:int ->
      t ->
      Cstruct.t ->
      (unit, error) result Lwt.t
  end
end

module Tcp = struct
  type error = [ `Timeout | `Refused ]
  type write_error = [ error | `Closed ]

  module Keepalive = struct
    type t = { after : Duration.t; interval : Duration.t; probes : int }
  end

  module type S = sig
    type nonrec error = private [> error ]
    type nonrec write_error = private [> write_error ]

    val pp_error : error Fmt.t
    val pp_write_error : write_error Fmt.t

    type ipaddr
    type flow
    type t

    val read : flow -> ([ `Data of Cstruct.t | `Eof ], error) result Lwt.t
    val write : flow -> Cstruct.t -> (unit, write_error) result Lwt.t
    val writev : flow -> Cstruct.t list -> (unit, write_error) result Lwt.t
    val shutdown : flow -> [ `read | `write | `read_write ] -> unit Lwt.t
    val close : flow -> unit Lwt.t
    val dst : flow -> ipaddr * int

    val create_connection :
      ?keepalive:Keepalive.t -> t -> ipaddr * int -> (flow, error) result Lwt.t

    val listen : t -> port:int -> ?keepalive:Keepalive.t -> (flow -> unit Lwt.t) -> unit
    val unlisten : t -> port:int -> unit
  end
end

module Stack = struct
  module type V4V6 = sig
    type t

    module UDP : Udp.S with type ipaddr = Ipaddr.t
    module TCP : Tcp.S with type ipaddr = Ipaddr.t
    module IP : Ip.S with type ipaddr = Ipaddr.t and type prefix = Ipaddr.Prefix.t

    val udp : t -> UDP.t
    val tcp : t -> TCP.t
    val ip : t -> IP.t
    val listen : t -> unit Lwt.t
    val disconnect : t -> unit Lwt.t
  end
end
