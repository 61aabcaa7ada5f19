(** What layers of a network stack are given in an image. Who has {!Mirust_network} needs none of
    this; it is for stacks that are put together by hand. *)

(** Whether there is a Xen below, and not Linux. *)
val on_xen : unit -> bool

(** Installs the image's clock and random numbers as {!Mirust_net_env.Env}: first of all, before any
    layer. *)
val init : unit -> unit

(** Declares [--network-memory], of which there is one however many interfaces there are; the
    function it returns has {!Mirust.Budget} divide what was asked for. *)
val register : unit -> unit -> unit

(** {1 Shares of the memory}

    By {!Mirust.Budget}, as it is when this is called. *)

val tcp : unit -> Mirust_tcp.Engine.config

(** The engine's bounds are those of the memory from now on, also when that changes:
    {!Mirust.Budget.follow}. *)
val follow : Mirust_tcp.Engine.t -> unit

(** For each version of IP. *)
val neighbours : unit -> Mirust_net_engine.Neighbour.config

(** For each version of IP. *)
val reassembly : unit -> Mirust_net_engine.Reassembly.config

(** Octets on their way from the stack to itself. *)
val own : unit -> int

(** {!Mirust_vif.Vif.connect} with a device's share, also when that changes; numbers of pages above
    0 that are given come first. *)
val connect :
  ?receive_pages:int ->
  ?send_pages:int ->
  string ->
  (Mirust_netif.Device.t, [ `Msg of string ]) result Lwt.t
