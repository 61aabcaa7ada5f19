(** What the layers of a network stack are given in an image. With {!Mirust_network} none of this is
    needed; it is for stacks that are put together by hand. *)

(** Whether the program runs on Xen rather than on Linux. *)
val on_xen : unit -> bool

(** Installs the image's clock and random numbers in {!Mirust_net_env.Env}. To be called before any
    layer is created. *)
val init : unit -> unit

(** Declares [--network-memory], once for all interfaces; the function it returns makes
    {!Mirust.Budget} divide the amount that was asked for. *)
val register : unit -> unit -> unit

(** {1 Shares of the memory}

    By {!Mirust.Budget}, as it is when this is called. *)

val tcp : unit -> Mirust_tcp.Engine.config

(** From now on the engine's bounds follow the memory, also when that changes
    ({!Mirust.Budget.follow}). *)
val follow : Mirust_tcp.Engine.t -> unit

(** For each version of IP. *)
val neighbours : unit -> Mirust_net_engine.Neighbour.config

(** For each version of IP. *)
val reassembly : unit -> Mirust_net_engine.Reassembly.config

(** Octets on their way from the stack to itself. *)
val own : unit -> int

(** {!Mirust_vif.Vif.connect} with a device's share, also when that changes; numbers of pages that
    are given come first. *)
val connect :
  ?receive_pages:int ->
  ?send_pages:int ->
  string ->
  (Mirust_netif.Device.t, [ `Msg of string ]) result Lwt.t
