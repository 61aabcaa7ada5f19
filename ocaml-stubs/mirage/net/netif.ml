include Mirust_vif.Netif

module type S = Mirust_mirage_types.Mirage_net.S with type t = t

let connect name =
  Mirust_network.init ();
  connect name
