(* The Linux kernel's end of the tests: an echo client that checks what comes back, and an echo server.

     client echo ADDRESS PORT BYTES CONNECTIONS
     client requests ADDRESS PORT COUNT
     client flood ADDRESS PORT SECONDS
     client drain ADDRESS PORT SECONDS
     client hold ADDRESS PORT CONNECTIONS
     client serve ADDRESS PORT
     client pour ADDRESS PORT
     client ask ADDRESS PORT
     client datagram ADDRESS PORT SOURCE
     client reset ADDRESS PORT

   [echo]: all connections are open at the same time, each sends BYTES, and then closes its direction.
   [requests]: one byte goes there and back again, COUNT times. [flood]: sends for so long, and waits until the other
   end has had it all and closes; [drain]: receives for so long. Both say how fast that was. [hold]: opens connections,
   says how many were not refused or reset within a second, and keeps them until its standard input ends. [serve]: an
   echo server. [pour]: a server that sends for ever, and says every tenth of a second how much that was. [ask]: sends
   its standard input, closes its direction, and prints what comes. [datagram]: sends an octet by UDP from port SOURCE,
   and wants one back. [reset]: a server that resets what it accepts. *)

let chunk = 65536

type connection = {
  stream : int;
  socket : Unix.file_descr;
  mutable sent : int;
  mutable closed : bool; (* our direction *)
  mutable received : int;
}

let fail fmt =
  Printf.ksprintf
    (fun s ->
      prerr_endline s;
      exit 1)
    fmt

let address name port =
  let address = Unix.inet_addr_of_string name in
  (Unix.domain_of_sockaddr (ADDR_INET (address, port)), Unix.ADDR_INET (address, port))

let connect (domain, address) stream =
  let socket = Unix.socket ~cloexec:true domain SOCK_STREAM 0 in
  Unix.set_nonblock socket;
  (match Unix.connect socket address with
  | () -> ()
  | exception Unix.Unix_error (EINPROGRESS, _, _) -> ());
  { stream; socket; sent = 0; closed = false; received = 0 }

let again f = try f () with Unix.Unix_error ((EAGAIN | EWOULDBLOCK), _, _) -> ()

let send total buffer c =
  let length = min chunk (total - c.sent) in
  for i = 0 to length - 1 do
    Bytes.unsafe_set buffer i (Pattern.byte ~stream:c.stream (c.sent + i))
  done;
  again (fun () ->
      c.sent <- c.sent + Unix.write c.socket buffer 0 length;
      if c.sent = total then (
        Unix.shutdown c.socket SHUTDOWN_SEND;
        c.closed <- true))

(* True at the end. *)
let receive total buffer c =
  match Unix.read c.socket buffer 0 chunk with
  | 0 when c.received = total -> true
  | 0 -> fail "connection %d ends after %d of %d bytes" c.stream c.received total
  | length ->
      for i = 0 to length - 1 do
        if Bytes.get buffer i <> Pattern.byte ~stream:c.stream (c.received + i) then
          fail "connection %d: byte %d differs" c.stream (c.received + i)
      done;
      c.received <- c.received + length;
      if c.received > c.sent then fail "connection %d: more than was sent" c.stream;
      false
  | exception Unix.Unix_error ((EAGAIN | EWOULDBLOCK), _, _) -> false

let echo address total count =
  let start = Unix.gettimeofday () in
  let buffer = Bytes.create chunk in
  let rec go connections =
    if connections <> [] then (
      let sockets = List.map (fun c -> c.socket) connections in
      let sending = List.filter (fun c -> not c.closed) connections in
      (* On a busy machine a domain that is saved is away for more than a minute. *)
      let readable, writable, _ =
        Unix.select sockets (List.map (fun c -> c.socket) sending) [] 300.
      in
      if readable = [] && writable = [] then fail "nothing moves";
      List.iter (fun c -> if List.mem c.socket writable then send total buffer c) sending;
      go
        (List.filter
           (fun c ->
             let over = List.mem c.socket readable && receive total buffer c in
             if over then Unix.close c.socket;
             not over)
           connections))
  in
  go (List.init count (connect address));
  Printf.printf "%d bytes on each of %d connections came back intact in %.2f s\n" total count
    (Unix.gettimeofday () -. start)

let requests (domain, address) count =
  let socket = Unix.socket ~cloexec:true domain SOCK_STREAM 0 in
  Unix.connect socket address;
  Unix.setsockopt socket TCP_NODELAY true;
  let byte = Bytes.create 1 in
  let request () =
    if Unix.write socket byte 0 1 <> 1 || Unix.read socket byte 0 1 <> 1 then fail "no answer"
  in
  request ();
  let start = Unix.gettimeofday () in
  for _ = 1 to count do
    request ()
  done;
  Printf.printf "%.0f requests per second\n" (float count /. (Unix.gettimeofday () -. start))

(* Megabytes, and megabits per second. *)
let rate start bytes =
  let bytes = float bytes in
  Printf.printf "%.1f MB %.1f Mbit/s\n" (bytes /. 1e6)
    (bytes *. 8e-6 /. (Unix.gettimeofday () -. start))

let drain (domain, address) seconds =
  let socket = Unix.socket ~cloexec:true domain SOCK_STREAM 0 in
  Unix.connect socket address;
  let buffer = Bytes.create chunk and start = Unix.gettimeofday () in
  let rec go received =
    if Unix.gettimeofday () -. start >= seconds then received
    else
      match Unix.read socket buffer 0 chunk with
      | 0 -> fail "the other end closes after %d bytes" received
      | length -> go (received + length)
  in
  rate start (go 0)

let flood (domain, address) seconds =
  let socket = Unix.socket ~cloexec:true domain SOCK_STREAM 0 in
  Unix.connect socket address;
  let buffer = Bytes.make chunk 'x' and start = Unix.gettimeofday () in
  let rec go sent =
    if Unix.gettimeofday () -. start >= seconds then sent
    else go (sent + Unix.write socket buffer 0 chunk)
  in
  let sent = go 0 in
  Unix.shutdown socket SHUTDOWN_SEND;
  if Unix.read socket buffer 0 chunk <> 0 then fail "bytes from who is to discard them";
  rate start sent

let ask (domain, address) =
  let socket = Unix.socket ~cloexec:true domain SOCK_STREAM 0 in
  Unix.connect socket address;
  let output = Unix.out_channel_of_descr socket and input = Unix.in_channel_of_descr socket in
  output_string output (In_channel.input_all stdin);
  flush output;
  Unix.shutdown socket SHUTDOWN_SEND;
  print_string (In_channel.input_all input)

let hold (domain, address) count =
  let open_one _ =
    let socket = Unix.socket ~cloexec:true domain SOCK_STREAM 0 in
    match Unix.connect socket address with () -> Some socket | exception Unix.Unix_error _ -> None
  in
  let sockets = List.filter_map open_one (List.init count Fun.id) in
  Unix.sleepf 1.;
  let byte = Bytes.create 1 in
  let is_open socket =
    Unix.set_nonblock socket;
    match Unix.read socket byte 0 1 with
    | length -> length > 0
    | exception Unix.Unix_error ((EAGAIN | EWOULDBLOCK), _, _) -> true
    | exception Unix.Unix_error _ -> false
  in
  Printf.printf "%d of %d connections are open\n%!"
    (List.length (List.filter is_open sockets))
    count;
  try ignore (input_line stdin : string) with End_of_file -> ()

(* One process for each client. *)
let serve_by handle (domain, address) =
  let socket = Unix.socket ~cloexec:true domain SOCK_STREAM 0 in
  Unix.setsockopt socket SO_REUSEADDR true;
  Unix.bind socket address;
  Unix.listen socket 256;
  Sys.set_signal Sys.sigchld Signal_ignore;
  while true do
    let client, _ = Unix.accept socket in
    if Unix.fork () = 0 then (
      (* Or the port would be taken for as long as the client is there. *)
      Unix.close socket;
      handle client;
      exit 0);
    Unix.close client
  done

let serve_echo client =
  let buffer = Bytes.create chunk in
  let rec go () =
    match Unix.read client buffer 0 chunk with
    | 0 -> ()
    | length ->
        ignore (Unix.write client buffer 0 length : int);
        go ()
  in
  go ()

let serve_pour client =
  let buffer = Bytes.make chunk 'x' in
  Unix.set_nonblock client;
  let rec go sent =
    match Unix.write client buffer 0 chunk with
    | length -> go (sent + length)
    | exception Unix.Unix_error ((EAGAIN | EWOULDBLOCK), _, _) ->
        Printf.printf "%d bytes\n%!" sent;
        Unix.sleepf 0.1;
        go sent
    | exception Unix.Unix_error _ -> ()
  in
  go 0

(* Closing with bytes that nobody has read, and without lingering, is a reset. *)
let serve_reset client =
  ignore (Unix.read client (Bytes.create 1) 0 1 : int);
  Unix.setsockopt_optint client SO_LINGER (Some 0);
  Unix.close client

(* A datagram from a port of our choice; fails if there is no answer within a second. *)
let datagram (domain, address) source =
  let socket = Unix.socket domain SOCK_DGRAM 0 in
  let any = if domain = PF_INET6 then Unix.inet6_addr_any else Unix.inet_addr_any in
  Unix.bind socket (ADDR_INET (any, source));
  Unix.setsockopt_float socket SO_RCVTIMEO 1.;
  ignore (Unix.sendto socket (Bytes.make 1 'x') 0 1 [] address : int);
  match Unix.recvfrom socket (Bytes.create 2) 0 2 [] with
  | 1, _ -> ()
  | n, _ -> fail "an answer of %d" n
  | exception Unix.Unix_error _ -> fail "no answer"

let () =
  Sys.set_signal Sys.sigpipe Signal_ignore;
  try
    match Sys.argv with
    | [| _; "echo"; name; port; bytes; count |] ->
        echo (address name (int_of_string port)) (int_of_string bytes) (int_of_string count)
    | [| _; "requests"; name; port; count |] ->
        requests (address name (int_of_string port)) (int_of_string count)
    | [| _; "flood"; name; port; seconds |] ->
        flood (address name (int_of_string port)) (float_of_string seconds)
    | [| _; "drain"; name; port; seconds |] ->
        drain (address name (int_of_string port)) (float_of_string seconds)
    | [| _; "hold"; name; port; count |] ->
        hold (address name (int_of_string port)) (int_of_string count)
    | [| _; "ask"; name; port |] -> ask (address name (int_of_string port))
    | [| _; "serve"; name; port |] -> serve_by serve_echo (address name (int_of_string port))
    | [| _; "pour"; name; port |] -> serve_by serve_pour (address name (int_of_string port))
    | [| _; "datagram"; name; port; source |] ->
        datagram (address name (int_of_string port)) (int_of_string source)
    | [| _; "reset"; name; port |] -> serve_by serve_reset (address name (int_of_string port))
    | _ -> fail "usage: see the head of tests/linux/client.ml"
  with Unix.Unix_error (error, call, _) -> fail "%s: %s" call (Unix.error_message error)
