open Tcb

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
  segments_out : int;
  octets_sent : int;
  octets_retransmitted : int;
  lost : int;
  sacked : int;
  unread : int;
  out_of_order : int;
  path_mss : int;
  receive_mss : int;
  timestamps : bool;
  selective_acks : bool;
  ecn : bool;
  recovering : bool;
  state : Tcb.state;
  ended : Tcb.ending;
}

let of_tcb (c : Tcb.t) =
  {
    rtt = Rtt.srtt c.rtt;
    rtt_var = Rtt.var c.rtt;
    min_rtt = Rtt.min_rtt c.rtt;
    rto = Rtt.timeout c.rtt;
    cwnd = Cc.cwnd c.cc;
    ssthresh = Cc.ssthresh c.cc;
    mss = c.mss;
    in_flight = in_flight c;
    unsent = Octets.octets c.unsent;
    send_window = c.snd_wnd;
    receive_window = Output.advertised c;
    send_buffer = c.send_buffer;
    receive_buffer = c.receive_buffer;
    retransmits = c.retransmits;
    octets_acked = c.octets_acked;
    octets_received = c.octets_received;
    segments_in = c.segments_in;
    segments_out = c.segments_out;
    octets_sent = c.octets_sent;
    octets_retransmitted = c.octets_retransmitted;
    lost = Flight.lost c.flight;
    sacked = Flight.sacked c.flight;
    unread = Octets.octets c.received;
    out_of_order = Reassembly.octets c.ahead;
    path_mss = c.path_mss;
    receive_mss = c.rcv_mss;
    timestamps = c.ts_ok;
    selective_acks = c.sack_ok;
    ecn = c.ecn;
    recovering = c.phase <> Open;
    state = c.state;
    ended = c.ended;
  }
