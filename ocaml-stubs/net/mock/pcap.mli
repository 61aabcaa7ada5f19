(** Recording frames in the classic libpcap format, with times in nanoseconds (magic number
    0xa1b23c4d), as tcpdump and Wireshark read it. *)
open Mirust_netif

type t

(** [create write] writes the file header at once, then one record per frame. [snaplen] is the most
    bytes kept of a frame (default 65535 and the Ethernet header). *)
val create : ?snaplen:int -> (string -> unit) -> t

(** A frame that is the concatenation of the list. [now]: ns. *)
val record : t -> now:int -> Cstruct.t list -> unit

(** The same device, with every frame sent and received recorded. Large segments and blank checksums
    are recorded as they are. *)
val tap : t -> Device.t -> Device.t
