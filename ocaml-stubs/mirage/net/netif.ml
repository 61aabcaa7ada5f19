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

(* Frames that are not for a program that listens itself: such as answers to our DHCP client, which goes on to renew the
   lease. *)
let kept : (t * (Cstruct.t -> bool)) list ref = ref []
let keep t takes = kept := (t, takes) :: !kept

let listen t ~header_size f =
  match List.assq_opt t !kept with
  | None -> listen t ~header_size f
  | Some takes ->
      listen t ~header_size (fun frame -> if takes frame then Lwt.return_unit else f frame)
