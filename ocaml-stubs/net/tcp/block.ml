(* The records: what there is of a connection, and what all connections share. [Output], [Recovery],
   [Answer], [Input], [Timers] and [Engine] change them; nothing else does. *)

type state =
  | Syn_sent
  | Syn_received
  | Established
  | Fin_wait_1
  | Fin_wait_2
  | Close_wait
  | Closing
  | Last_ack
  | Time_wait
  | Closed

type reason = [ `Closed | `Refused | `Reset | `Timeout | `Aborted | `No_route ]

(* How a connection ended, as a number for Rust. *)
type ending = Not_ended | Closed_in_order | Refused | Reset | Timed_out | Aborted | No_route
type event = Connected | Readable | Writable | Ended of reason
type keepalive = { after : int; interval : int; probes : int }

(* Where the sender is with respect to loss: RFC 5681's and RFC 6582's phases. *)
type phase =
  | Open
  | Fast (* fast recovery, until [recover] is acknowledged *)
  | Loss (* after a retransmission timeout, until [recover] is acknowledged *)

(* What the retransmission timer will do. *)
type rexmit =
  | Idle
  | Rto
  | Probe
  (* RFC 8985's TLP *)
  | Reorder (* RACK's reordering window *)

(* Proportional rate reduction (RFC 9937): octets since fast recovery began. *)
type prr = { mutable delivered : int; mutable out : int; mutable in_flight_before : int }

(* RACK (RFC 8985): the latest delivery, by the time of its sending, and how long what was sent before may
   still be on its way. *)
type rack = {
  mutable sent : int; (* ns; 0: nothing yet *)
  mutable sent_end : Seq.t;
  mutable sent_rtt : int; (* ns *)
  mutable reordering : bool; (* the path was seen to reorder *)
  mutable mult : int; (* of a quarter of the round trip *)
  mutable persist : int; (* recoveries until [mult] is 1 again *)
  mutable dsack_round : Seq.t; (* [mult] grows once until this is acknowledged; -1: it may *)
}

(* What would show that the last reduction was needless, and how to take it back. *)
type undo = {
  mutable saved : Cc.saved option;
  mutable stamp : int; (* our timestamp at the first retransmission; -1: none yet *)
  mutable left : int; (* retransmissions not yet shown needless *)
  mutable credit : int; (* undos until [mark] is acknowledged *)
  mutable mark : Seq.t;
  mutable timeout_at : int; (* ns; of the last retransmission timeout *)
}

(* ECN (RFC 3168). *)
type marks = {
  mutable echo : bool; (* we send ECE until the peer's CWR *)
  mutable cwr : bool; (* the next new data carries CWR *)
  mutable reduced : Seq.t; (* no further reduction until this is acknowledged *)
}

(* What segments that change nothing may provoke: [Answer]. *)
type answers = {
  mutable repeats_paid : int; (* ns; up to when the answers to repetitions are used up *)
  mutable odd_at : int; (* ns; nothing odd is answered before *)
  mutable odd_wait : int; (* ns; from the next such answer to the one after *)
}

(* What one acknowledgement has told: there is one of these, as it is needed no longer than that. *)
type news = {
  mutable echo : int; (* the timestamp that it echoes; -1: none *)
  mutable sample : int; (* ns, of the latest segment that was sent once; 0: none *)
  mutable octets : int; (* newly acknowledged or selectively so *)
  mutable ambiguous : bool; (* something retransmitted was acknowledged *)
  mutable original : bool; (* something sent before the last timeout, and not again, has arrived *)
}

type t = {
  local : Ipaddr.t;
  local_port : int;
  remote : Ipaddr.t;
  remote_port : int;
  hash : int;
  mutable state : state;
  mutable ended : ending;
  mutable notify : event -> unit;
  mutable timer : t Wheel.timer option;
  mutable dirty : bool; (* is queued for [Engine.flush] *)
  mutable blocked : bool; (* is queued until the device has room *)
  mutable starved : bool; (* is queued until others hold less memory *)
  mutable lingers : bool; (* is queued among those in TIME-WAIT *)
  mutable passive : bool; (* came from a listener, which has not accepted it yet *)
  mutable place : place;
  (* Sending *)
  iss : Seq.t;
  mutable snd_una : Seq.t;
  mutable snd_nxt : Seq.t;
  mutable snd_wnd : int; (* octets *)
  mutable snd_wl1 : Seq.t;
  mutable snd_wl2 : Seq.t;
  mutable snd_shift : int;
  mutable snd_wnd_max : int;
  mutable mss : int; (* octets of payload in one packet, options taken off *)
  mutable peer_mss : int; (* what the peer's option said *)
  mutable path_mss : int; (* what the path carries: MTU less the fixed headers *)
  unsent : Octets.t;
  mutable small_end : Seq.t; (* end of the last segment that was not full *)
  mutable nodelay : bool;
  mutable closing : bool; (* a FIN follows what is unsent *)
  mutable fin_sent : bool;
  mutable send_buffer : int;
  mutable blocked_writer : bool; (* wants [Writable] *)
  flight : Flight.t;
  (* Loss recovery *)
  mutable rtt : Rtt.t;
  mutable cc : Cc.t;
  mutable phase : phase;
  mutable recover : Seq.t;
  mutable dupacks : int;
  mutable sacked_end : Seq.t; (* highest octet that was selectively acknowledged *)
  prr : prr;
  rack : rack;
  undo : undo;
  mutable probe_end : Seq.t;
  mutable probes : int; (* tail loss probes that are unanswered *)
  mutable probe_retransmit : bool;
  mutable cwnd_limited : bool;
  mutable last_sent : int; (* ns; data *)
  mutable pace_next : int; (* ns; when new data may go again *)
  mutable pace_waits : bool; (* there is some, and only the pace holds it back *)
  mutable progress : int; (* when something was last acknowledged *)
  mutable ecn : bool;
  marks : marks;
  mutable account : int; (* what [memory] has for it *)
  mutable beside : int; (* what it has for what its user waits to write *)
  mutable black_hole : int; (* timeouts in a row of full-sized segments (RFC 8899) *)
  (* Receiving *)
  mutable irs : Seq.t;
  mutable rcv_nxt : Seq.t;
  mutable rcv_adv : Seq.t; (* the right edge that we advertised: it never moves left *)
  mutable rcv_shift : int;
  mutable scaling : bool; (* both sides scale windows; before the peer's SYN: we offer it *)
  mutable rcv_mss : int; (* the size of the peer's full segments, by observation *)
  received : Octets.t;
  ahead : Reassembly.t;
  mutable ahead_last : Seq.t; (* in the range that was added to last *)
  mutable dsack : (Seq.t * Seq.t) option;
  mutable fin_at : Seq.t; (* the peer's FIN, when [fin_known] *)
  mutable fin_known : bool;
  mutable receive_buffer : int;
  mutable tune_at : int;
  mutable tune_octets : int;
  mutable read_shut : bool; (* the user will not read: data is answered by a reset *)
  (* Acknowledging *)
  mutable ack_now : bool;
  mutable last_ack_sent : Seq.t;
  mutable quick_acks : int;
  mutable pushed : bool; (* the peer pushed since our last acknowledgement *)
  habit : Habit.t;
  answers : answers;
  (* Options *)
  mutable ts_ok : bool;
  ts_offset : int;
  mutable ts_recent : int;
  mutable ts_recent_at : int;
  mutable stamped : Mirust_wire.Tcp.options; (* timestamps that were last sent *)
  mutable sack_ok : bool;
  (* Timers: ns, [max_int] when off *)
  mutable rexmit : rexmit;
  mutable rexmit_at : int;
  mutable rto_at : int; (* [rexmit_at] may be earlier, to see whether to give up *)
  mutable ack_at : int;
  mutable persist_at : int;
  mutable persist_shift : int;
  mutable pace_at : int; (* new data waits for [pace_next] *)
  mutable keep_at : int;
  mutable wait_at : int; (* TIME-WAIT, orphaned FIN-WAIT-2, or giving up on a handshake *)
  mutable keepalive : keepalive option;
  mutable keep_probes : int;
  mutable user_timeout : int;
  mutable heard : int; (* when a segment last came *)
  mutable confirmed : int; (* when we last said that the path works *)
  mutable unreachable : bool; (* a router said so, and the handshake goes on *)
  (* Counters *)
  mutable retransmits : int;
  mutable octets_acked : int;
  mutable octets_received : int;
  mutable segments_in : int;
  mutable segments_out : int;
  mutable octets_sent : int;
  mutable octets_retransmitted : int;
}

(* Among all connections, for [Crowd.has_room]: what it had moved when it was last looked at, and since when it has not
   moved more; for [Crowd.relieve] what it held and had released then. A connection that has gone is not kept in memory
   by the place that it had. *)
and place = {
  mutable who : t option;
  mutable moved : int;
  mutable since : int;
  mutable held : int;
  mutable released : int;
  mutable stuck_since : int;
  mutable stuck : int; (* the octets that it was stuck with then; 0 if it was not *)
  mutable host : host; (* [no_host] before it was accepted, or if it was opened from here *)
  mutable older : place; (* a ring of those of the host, which is [Hosts]' to change *)
  mutable newer : place;
}

(* See [Hosts]: a host, or a network of hosts. *)
and host = {
  key : int;
  mutable count : int;
  mutable chain : host;
  mutable next : place; (* of its ring; the one that was examined least recently *)
  mutable network : host; (* that it belongs to; for a network [no_host] *)
  mutable most : host; (* for a network: its host with the most connections; for a host [no_host] *)
}

let rec no_place =
  {
    who = None;
    moved = 0;
    since = 0;
    held = 0;
    released = 0;
    stuck_since = 0;
    stuck = 0;
    host = no_host;
    older = no_place;
    newer = no_place;
  }

and no_host =
  { key = -1; count = 0; chain = no_host; next = no_place; network = no_host; most = no_host }

type transmit =
  src:Ipaddr.t ->
  dst:Ipaddr.t ->
  ect:bool ->
  Mirust_wire.Tcp.t ->
  Cstruct.t list ->
  length:int ->
  segment_size:int ->
  unit

type env = {
  mutable config : Config.t;
  wheel : t Wheel.t;
  transmit : transmit;
  can_send : unit -> bool;
  path_works : src:Ipaddr.t -> dst:Ipaddr.t -> unit;
  burst : src:Ipaddr.t -> dst:Ipaddr.t -> int; (* octets of a connection in one turn, at most *)
  stats : Stats.t;
  news : news;
  mutable now : int;
  mutable memory : int; (* octets held by all connections *)
  mutable short : bool; (* a connection could go on but for the memory that others hold *)
  mutable stuck_octets : int;
      (* held by connections that were stuck when [Crowd.relieve] last examined them *)
  challenges : Limit.t;
  resets : Limit.t;
  dirty : t Ring.t;
  next_turn : t Queue.t; (* have sent enough in this turn, and have more *)
  blocked : t Queue.t; (* could not send because the device was full *)
  starved : t Queue.t; (* may not write because all together hold too much *)
  waiting : t Queue.t; (* whole ones in TIME-WAIT, oldest first; some may have gone since *)
  mutable lingering : int; (* those of them that have not *)
  resting : Waiting.t; (* those that their users have closed *)
  mutable forget : t -> unit; (* takes a closed connection out of the table *)
}
