(** DHCP for IPv4 (RFC 2131, options of RFC 2132), as far as a client and a small server need it. *)

val client_port : int
val server_port : int

type kind = Discover | Offer | Request | Decline | Ack | Nak | Release | Inform

type t = {
  kind : kind;
  reply : bool;  (** sent by a server *)
  xid : int;  (** 32 bits *)
  secs : int;
  broadcast : bool;  (** the client cannot receive unicast packets yet *)
  client : Ipaddr.V4.t;  (** [ciaddr]: the address the client has *)
  your : Ipaddr.V4.t;  (** [yiaddr]: the address it is given *)
  next_server : Ipaddr.V4.t;  (** [siaddr] *)
  relay : Ipaddr.V4.t;  (** [giaddr] *)
  mac : Macaddr.t;
  subnet_mask : Ipaddr.V4.t option;
  routers : Ipaddr.V4.t list;
  dns : Ipaddr.V4.t list;
  host_name : string option;
  domain_name : string option;
  mtu : int option;
  requested : Ipaddr.V4.t option;
  lease_time : int option;  (** seconds; 2{^ 32}-1: for ever *)
  server : Ipaddr.V4.t option;  (** server identifier *)
  wanted : int list;  (** parameter request list: option numbers *)
  message : string option;
  renewal_time : int option;  (** T1, seconds *)
  rebinding_time : int option;  (** T2, seconds *)
  client_id : string option;
  others : (int * string) list;  (** by number: each other option, as it came *)
}

(** No addresses, no options. *)
val empty : kind -> reply:bool -> xid:int -> Macaddr.t -> t

type error =
  | Truncated
  | Not_dhcp  (** plain BOOTP, other hardware than Ethernet, or no message type *)
  | Bad_option of int
      (** the message type, the lease's time or the server is of a wrong length, or reaches beyond
          its field. Other options like that are taken for absent *)

val pp_error : error Fmt.t
val pp_kind : kind Fmt.t
val pp : t Fmt.t

(** The payload of a UDP datagram. Options may go on in the file and server name fields (option 52),
    and one option may come in several parts (RFC 3396). *)
val parse : Cstruct.t -> (t, error) result

(** All options by number, except 52, in no particular order. *)
val options : t -> (int * string) list

(** At least 300 bytes, which some old relays and servers insist on. *)
val emit : t -> Cstruct.t
