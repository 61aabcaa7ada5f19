(** {!Mirust_block.Block} as generated code calls it: a [Mirage_block.S]. *)

include module type of struct
  include Mirust_block.Block
end

(** By the toolstack's name ([xvda]), by the device's number, or by a name that [--disk=NAME:DEVICE]
    has. *)
val connect : string -> t Lwt.t
