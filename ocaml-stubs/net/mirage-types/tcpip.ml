(** IP, UDP, TCP and a whole stack, as Mirage's functors and applications take them. *)

module Ip = struct
  type error = [ `No_route of string | `Would_fragment ]

  let pp_error ppf = function
    | `No_route s -> Fmt.pf ppf "no route to destination: %s" s
    | `Would_fragment -> Fmt.string ppf "would fragment"

  type proto = [ `TCP | `UDP | `ICMP ]

  let pp_proto ppf p =
    Fmt.string ppf (match p with `TCP -> "TCP" | `UDP -> "UDP" | `ICMP -> "ICMP")

  module type S = sig
    type nonrec error = private [> error ]

    val pp_error : error Fmt.t

    type ipaddr

    val pp_ipaddr : ipaddr Fmt.t

    type prefix

    val pp_prefix : prefix Fmt.t

    type t

    val disconnect : t -> unit Lwt.t

    type callback = src:ipaddr -> dst:ipaddr -> Cstruct.t -> unit Lwt.t

    (** Takes a packet from its IP header on, reassembles, and hands the payload on. *)
    val input :
      t ->
      tcp:callback ->
      udp:callback ->
      default:(proto:int -> callback) ->
      Cstruct.t ->
      unit Lwt.t

    (** [write t dst proto ~size fill payload] sends a packet whose content is what [fill] writes
        into a buffer of [size] bytes (default 0), followed by [payload]. [fill] returns the bytes
        it used. With [fragment] false (default true) a packet above the MTU gives
        [`Would_fragment]. *)
    val write :
      t ->
      ?fragment:bool ->
      ?ttl:int ->
      ?src:ipaddr ->
      ipaddr ->
      proto ->
      ?size:int ->
      (Cstruct.t -> int) ->
      Cstruct.t list ->
      (unit, error) result Lwt.t

    (** The pseudo-header, in bytes, for a transport packet of the given length. *)
    val pseudoheader : t -> ?src:ipaddr -> ipaddr -> proto -> int -> Cstruct.t

    (** The local address that a packet to [dst] gets. *)
    val src : t -> dst:ipaddr -> ipaddr

    val get_ip : t -> ipaddr list [@@ocaml.deprecated "use configured_ips"]
    val configured_ips : t -> prefix list

    (** Bytes after the IP header that fit in one packet to [dst]. *)
    val mtu : t -> dst:ipaddr -> int
  end
end

module Udp = struct
  module type S = sig
    type error

    val pp_error : error Fmt.t

    type ipaddr
    type t

    val disconnect : t -> unit Lwt.t

    type callback = src:ipaddr -> dst:ipaddr -> src_port:int -> Cstruct.t -> unit Lwt.t

    (** One function per port; a later call replaces the earlier. Raises [Invalid_argument] for a
        port outside 1 to 65535. *)
    val listen : t -> port:int -> callback -> unit

    val unlisten : t -> port:int -> unit
    val input : t -> src:ipaddr -> dst:ipaddr -> Cstruct.t -> unit Lwt.t

    (** Without [src_port] a random one from the ephemeral range. *)
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
  type write_error = [ error | Mirage_flow.write_error ]

  let pp_error ppf = function
    | `Timeout -> Fmt.string ppf "connection attempt timed out"
    | `Refused -> Fmt.string ppf "connection attempt was refused"

  let pp_write_error ppf = function
    | #Mirage_flow.write_error as e -> Mirage_flow.pp_write_error ppf e
    | #error as e -> pp_error ppf e

  module Keepalive = struct
    type t = Mirust_records.Keepalive.t = {
      after : Duration.t;  (** silence before the first probe *)
      interval : Duration.t;  (** between probes *)
      probes : int;  (** unanswered ones before the connection is given up *)
    }
  end

  module type S = sig
    type nonrec error = private [> error ]
    type nonrec write_error = private [> write_error ]
    type ipaddr
    type flow
    type t

    val disconnect : t -> unit Lwt.t

    include
      Mirage_flow.S
        with type flow := flow
         and type error := error
         and type write_error := write_error

    val dst : flow -> ipaddr * int
    val src : flow -> ipaddr * int
    val write_nodelay : flow -> Cstruct.t -> (unit, write_error) result Lwt.t
    val writev_nodelay : flow -> Cstruct.t list -> (unit, write_error) result Lwt.t

    val create_connection :
      ?keepalive:Keepalive.t -> t -> ipaddr * int -> (flow, error) result Lwt.t

    val listen : t -> port:int -> ?keepalive:Keepalive.t -> (flow -> unit Lwt.t) -> unit
    val unlisten : t -> port:int -> unit
    val input : t -> src:ipaddr -> dst:ipaddr -> Cstruct.t -> unit Lwt.t
  end
end

module Stack = struct
  module type V4V6 = sig
    type t

    val disconnect : t -> unit Lwt.t

    module UDP : Udp.S with type ipaddr = Ipaddr.t
    module TCP : Tcp.S with type ipaddr = Ipaddr.t
    module IP : Ip.S with type ipaddr = Ipaddr.t and type prefix = Ipaddr.Prefix.t

    val udp : t -> UDP.t
    val tcp : t -> TCP.t
    val ip : t -> IP.t

    (** Resolves when the device is gone. *)
    val listen : t -> unit Lwt.t
  end
end
