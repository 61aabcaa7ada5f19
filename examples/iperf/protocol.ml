let cookie_length = 37

type state =
  | Param_exchange
  | Create_streams
  | Test_start
  | Test_running
  | Test_end
  | Exchange_results
  | Display_results
  | Iperf_done
  | Client_terminate
  | Access_denied
  | Server_error

(* iperf3's iperf_api.h *)
let bytes =
  [
    (Test_start, '\001');
    (Test_running, '\002');
    (Test_end, '\004');
    (Param_exchange, '\009');
    (Create_streams, '\010');
    (Client_terminate, '\012');
    (Exchange_results, '\013');
    (Display_results, '\014');
    (Iperf_done, '\016');
    (Access_denied, '\255');
    (Server_error, '\254');
  ]

let byte_of_state state = List.assoc state bytes
let state_of_byte byte = List.find_map (fun (s, b) -> if b = byte then Some s else None) bytes
let not_implemented = 13

type parameters = {
  streams : int;
  receives : bool;
  sends : bool;
  block : int;
  rate : float;
  omit : float;
  nodelay : bool;
  seconds : float;
}

let parameters json =
  let exception Wrong of string in
  let flag name =
    match Json.member name json with
    | Null -> false
    | Bool b -> b
    | Number x -> x <> 0.
    | String _ | List _ | Object _ -> raise (Wrong name)
  in
  let number name ~default ~min ~max =
    match Json.member name json with
    | Null -> default
    | Number x when x >= min && x <= max -> x
    | Number _ | Bool _ | String _ | List _ | Object _ -> raise (Wrong name)
  in
  match
    let reverse = flag "reverse" and both = flag "bidirectional" in
    let p =
      {
        streams = int_of_float (number "parallel" ~default:1. ~min:1. ~max:128.);
        receives = both || not reverse;
        sends = both || reverse;
        block = int_of_float (number "len" ~default:131072. ~min:1. ~max:1048576.);
        rate = number "bandwidth" ~default:0. ~min:0. ~max:1e15;
        omit = number "omit" ~default:0. ~min:0. ~max:600.;
        nodelay = flag "nodelay";
        seconds = number "time" ~default:0. ~min:0. ~max:86400.;
      }
    in
    (flag "tcp", p)
  with
  | true, p -> Ok p
  | false, _ -> Error "not a test of TCP"
  | exception Wrong name -> Error ("bad " ^ name)

type stream = { id : int; bytes : int; retransmits : int option }

let stream ~seconds { id; bytes; retransmits } =
  let int n = Json.Number (float_of_int n) in
  Json.Object
    [
      ("id", int id);
      ("bytes", int bytes);
      ("retransmits", int (Option.value retransmits ~default:(-1)));
      ("jitter", int 0);
      ("errors", int 0);
      ("packets", int 0);
      ("start_time", int 0);
      ("end_time", Number seconds);
    ]

let results ~seconds streams =
  let sends = List.exists (fun s -> s.retransmits <> None) streams in
  Json.Object
    [
      ("cpu_util_total", Number 0.);
      ("cpu_util_user", Number 0.);
      ("cpu_util_system", Number 0.);
      ("sender_has_retransmits", Number (if sends then 1. else -1.));
      ("streams", List (List.map (stream ~seconds) streams));
    ]

(* There is no stream 2, for the sake of old clients. *)
let stream_id n = if n = 0 then 1 else n + 2
