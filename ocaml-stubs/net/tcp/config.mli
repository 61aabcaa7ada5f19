(** An engine's settings: which RFCs are in use, and bounds. *)

type t = {
  algorithm : Cc.algorithm;
  timestamps : bool;  (** RFC 7323 *)
  sack : bool;  (** RFC 2018 *)
  ecn : bool;  (** RFC 3168 *)
  receive_buffer : int;  (** octets that wait for the reader, to start with *)
  receive_buffer_max : int;  (** up to where it follows the reader's rate *)
  send_buffer : int;  (** octets written and not yet acknowledged, to start with *)
  send_buffer_max : int;
  memory_max : int;  (** octets that all connections hold together *)
  max_ranges : int;  (** separate ranges ahead of a gap, for one connection *)
  rto_initial : int;  (** ns, as all times here *)
  rto_min : int;  (** least variance term of the retransmission timeout *)
  rto_max : int;
  user_timeout : int;  (** without progress the connection is given up (RFC 5482) *)
  connect_timeout : int;
  delayed_ack : int;
  time_wait : int;  (** twice the maximum segment lifetime *)
  time_wait_max : int;  (** connections in TIME-WAIT; the oldest goes first *)
  connections_max : int;
      (** in whatever state; each is about 2 KiB. For a new one the oldest in TIME-WAIT makes room,
          and then one that has tried its patience ([Crowd.patience]) *)
  backlog : int;  (** half-open connections of a listener before it answers with SYN cookies *)
  gso_max : int;  (** octets of payload handed to [transmit] at once *)
  pacing : bool;  (** new data is spread over round trips of more than a few milliseconds *)
}

val default : t
val ms : int

(** In ns, both. *)
val second : int
