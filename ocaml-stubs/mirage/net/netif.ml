(* The domain's network devices under Mirage's name, with the image's clock, random numbers and budget. *)

include Mirust_vif.Netif

module type S = Mirust_mirage_types.Mirage_net.S with type t = t

let memory = Mirust_net_image.register ()

let connect name =
  Mirust_net_image.init ();
  memory ();
  Mirust_net_image.connect name
  |> Fun.flip Lwt.bind (function
       | Ok device -> Lwt.return (Mirust_netif.Netif.connect device)
       | Error (`Msg message) -> Lwt.fail_with message)
