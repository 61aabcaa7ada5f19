(** An in-memory Ethernet: any number of ports on one segment, and as bad a cable as a test needs.

    Frames go to the port with their destination address, or to all others. Faults are decided by a
    seeded generator, and delays use {!Mirust_net_env.Env}, so that a run can be repeated exactly.
*)
open Mirust_netif

(** What happens to frames on their way to a port. Probabilities are between 0 and 1. *)
type conditions = {
  drop : float;
  duplicate : float;
  corrupt : float;  (** one bit, anywhere after the Ethernet header *)
  reorder : float;  (** held back so that later frames overtake it *)
  reorder_by : int;  (** ns that such a frame is held back *)
  delay : int;  (** ns *)
  jitter : int;  (** up to this many additional ns *)
  rate : int;  (** bits per second; 0: no limit *)
  queue : int;  (** bytes that may queue because of [rate]; more are dropped. 0: no limit *)
}

(** Nothing is lost, and nothing takes time. *)
val perfect : conditions

type t

(** With [immediate] (default false) a frame without delay arrives while its sender is still inside
    [send], which is the hardest case for a stack. Otherwise it arrives in the next turn of the Lwt
    loop, in one batch with all others. *)
val create : ?seed:int -> ?conditions:conditions -> ?immediate:bool -> unit -> t

(** For frames that are sent from now on. *)
val set_conditions : t -> conditions -> unit

(** A new port. With [features] the port accepts blank checksums and large segments, and passes them
    unchanged to ports that accept them; for others they are completed and segmented. [ring] bounds
    the frames that may be waiting to leave before [`Full] (default 256, as in a ring of Xen). A
    [promiscuous] port gets all frames, as that of a bridge does. *)
val attach :
  ?name:string ->
  ?mtu:int ->
  ?features:Device.features ->
  ?ring:int ->
  ?promiscuous:bool ->
  t ->
  Macaddr.t ->
  Device.t

(** Unplugs and replugs the cable of the port with this address. *)
val replug : t -> Macaddr.t -> unit

type counters = {
  mutable sent : int;
  mutable delivered : int;
  mutable dropped : int;
  mutable duplicated : int;
  mutable corrupted : int;
  mutable reordered : int;
  mutable overflowed : int;
}

(** Of all ports, since the network was made. *)
val counters : t -> counters
