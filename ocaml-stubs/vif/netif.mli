(** The domain's network devices under Mirage's name and signature. *)

include module type of struct
  include Mirust_netif.Netif
end

(** [connect name] is {!Vif.connect} as a Mirage device.

    @raise Failure if there is no such interface and there never will be. *)
val connect : string -> t Lwt.t
