(** What generated code calls of charrua's [Dhcp_wire], whose tables of all DHCP options are 100 KB
    in an image. {!Dhcp_ipv4} has a client of its own, which sends the host name by itself. To be
    opened where no other names of [Dhcp_wire] are used; where they are, and for
    [Dhcp_ipv4.Proj_lease], there is [Mirust_mirage_charrua]. *)

module Dhcp_wire : sig
  type dhcp_option = Hostname of string

  (** The code itself. *)
  val int_to_option_code_exn : int -> int
end
