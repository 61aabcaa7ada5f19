(** Mirage's names for the layers above Ethernet. *)

include Mirust_mirage_types.Tcpip
