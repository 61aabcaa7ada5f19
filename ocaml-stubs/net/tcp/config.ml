type t = {
  algorithm : Cc.algorithm;
  timestamps : bool;
  sack : bool;
  ecn : bool;
  receive_buffer : int;
  receive_buffer_max : int;
  send_buffer : int;
  send_buffer_max : int;
  memory_max : int;
  max_ranges : int;
  rto_initial : int;
  rto_min : int;
  rto_max : int;
  user_timeout : int;
  connect_timeout : int;
  delayed_ack : int;
  time_wait : int;
  time_wait_max : int;
  connections_max : int;
  backlog : int;
  gso_max : int;
  pacing : bool;
}

let ms = 1_000_000
let second = 1_000_000_000

let default =
  {
    algorithm = Cubic;
    timestamps = true;
    sack = true;
    ecn = true;
    receive_buffer = 128 * 1024;
    receive_buffer_max = 4 * 1024 * 1024;
    send_buffer = 128 * 1024;
    send_buffer_max = 4 * 1024 * 1024;
    memory_max = 64 * 1024 * 1024;
    max_ranges = 256;
    rto_initial = second;
    rto_min = 200 * ms;
    rto_max = 60 * second;
    user_timeout = 120 * second;
    connect_timeout = 75 * second;
    delayed_ack = 40 * ms;
    time_wait = 60 * second;
    time_wait_max = 8192;
    connections_max = 32768;
    backlog = 1024;
    gso_max = 65000;
    pacing = true;
  }
