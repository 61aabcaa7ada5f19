(** A bad cable between a stack and a real device: whatever the device, frames are dropped, doubled,
    delayed, reordered and corrupted on their way, in both directions. *)

open Mirust_netif
open Mirust_net_mock

(** A device to be used in the place of the given one. It has none of its offloads. *)
val plug : Network.conditions -> Device.t -> Device.t
