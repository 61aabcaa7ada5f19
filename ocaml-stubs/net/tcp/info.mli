(** Statistics of a connection. Rust knows the fields by their order. *)

(** What [ss -i] shows: octets and ns. *)
type t = {
  rtt : int;
  rtt_var : int;
  min_rtt : int;
  rto : int;
  cwnd : int;
  ssthresh : int;
  mss : int;
  in_flight : int;
  unsent : int;
  send_window : int;
  receive_window : int;
  send_buffer : int;
  receive_buffer : int;
  retransmits : int;
  octets_acked : int;
  octets_received : int;
  segments_in : int;
  segments_out : int;  (** of the size that the network sees *)
  octets_sent : int;  (** again ones included *)
  octets_retransmitted : int;
  lost : int;  (** believed lost, and not yet sent again *)
  sacked : int;  (** in flight, and received by the peer behind a gap *)
  unread : int;
  out_of_order : int;  (** received behind a gap *)
  path_mss : int;  (** what a packet on the path carries, TCP options included *)
  receive_mss : int;  (** of the peer's full segments, as observed *)
  timestamps : bool;
  selective_acks : bool;
  ecn : bool;
  recovering : bool;  (** from a loss *)
  state : Tcb.state;
  ended : Tcb.ending;  (** why there is no connection any more *)
}

val of_tcb : Tcb.t -> t
