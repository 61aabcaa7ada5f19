(** ICMP for IPv4 over any IPv4 layer: answers echo requests, sends them, reports errors to others.
*)

module type S = Mirust_mirage_types.Icmpv4.S

module Make (I : Mirust_mirage_types.Tcpip.Ip.S with type ipaddr = Ipaddr.V4.t) : sig
  include S

  val connect : I.t -> t Lwt.t

  (** Sends one echo request; the round-trip time in ns, or [`Timeout] after [timeout] ns (default 1
      s). *)
  val ping :
    t ->
    ?timeout:int ->
    ?payload:Cstruct.t ->
    Ipaddr.V4.t ->
    (int, [ `Timeout | `No_route ]) result Lwt.t

  (** Tells the sender of a packet that it could not be delivered. The last argument starts with the
      packet's transport header. Rationed (see {!Errors}), and none to groups (RFC 1122 section
      3.2.2). *)
  val reject :
    t ->
    src:Ipaddr.V4.t ->
    dst:Ipaddr.V4.t ->
    proto:int ->
    Mirust_wire.Icmpv4.unreachable ->
    Cstruct.t ->
    unit
end
