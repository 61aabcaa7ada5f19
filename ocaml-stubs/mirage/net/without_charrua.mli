(** What generated code calls of charrua's [Dhcp_wire], whose tables of all DHCP options are 100 KB
    in an image. {!Dhcp_ipv4} has a client of its own and ignores these values: it sends the host
    name by itself, and asks for what it understands. To be opened where no other names of
    [Dhcp_wire] are used. *)

module Dhcp_wire : sig
  type dhcp_option = Hostname of string

  (** The code itself. *)
  val int_to_option_code_exn : int -> int
end
