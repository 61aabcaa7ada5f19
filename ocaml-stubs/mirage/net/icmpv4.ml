(* Our ICMP under Mirage's name. *)

include Mirust_tcpip.Icmpv4
