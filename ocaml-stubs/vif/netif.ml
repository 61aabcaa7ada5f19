include Mirust_netif.Netif

let connect name =
  Lwt.bind (Vif.connect name) (function
    | Ok device -> Lwt.return (Mirust_netif.Netif.connect device)
    | Error (`Msg message) -> Lwt.fail_with message)
