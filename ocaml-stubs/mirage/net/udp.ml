(* Our UDP under Mirage's name. *)

include Mirust_tcpip.Udp
