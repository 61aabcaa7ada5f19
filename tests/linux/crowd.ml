(* A crowd of clients that take and do not give, and one honest client beside them.

     crowd KIND ADDRESS PORT CONNECTIONS SECONDS [REQUEST QUESTION]

   KIND is what each of the crowd does on its connection: [idle], nothing; [octet], it sends one; [unread],
   it sends as much as is taken. None of them ever reads, and all stay until SECONDS are over. A REQUEST is
   what they send first, instead, and what those that are [unread] send again and again; those that are [endless] send
   one, which never ends.

   With $UNTIL, a file's name, the crowd goes as soon as that file is there, and those who were reset come back: so it
   stays until it has done what it came for, on a machine of any speed.

   The honest client asks a QUESTION (by default some octets that an echo service sends back) ten times a
   second, on a connection that it has had from the start and on a new one each time, for a while before,
   while the crowd is there, and when it has gone. How long the answers took is printed for each of the
   three; that one was not answered within twenty seconds is a failure. *)

let fail fmt =
  Printf.ksprintf
    (fun s ->
      prerr_endline s;
      exit 2)
    fmt

type kind = Idle | Octet | Unread | Endless

let kind = function
  | "idle" -> Idle
  | "octet" -> Octet
  | "unread" -> Unread
  | "endless" -> Endless
  | s -> fail "there is no kind %S" s

(* {1 The crowd} *)

type member = {
  mutable socket : Unix.file_descr;
  mutable greeted : bool;
  mutable at : int; (* how far in the load *)
  mutable gone : bool;
}

let end_of_it = Sys.getenv_opt "UNTIL"

let join (domain, address) =
  let socket = Unix.socket ~cloexec:true domain SOCK_STREAM 0 in
  Unix.set_nonblock socket;
  (* Little room of their own, so that what they hold is held at the other end. *)
  Unix.setsockopt_int socket SO_RCVBUF 4096;
  Unix.setsockopt_int socket SO_SNDBUF 16384;
  (try Unix.connect socket address with Unix.Unix_error (EINPROGRESS, _, _) -> ());
  socket

let push member text ~from =
  match Unix.write_substring member.socket text from (String.length text - from) with
  | n -> n
  | exception Unix.Unix_error ((EAGAIN | EWOULDBLOCK | ENOTCONN), _, _) -> 0
  | exception Unix.Unix_error _ ->
      member.gone <- true;
      Unix.close member.socket;
      0

let crowd kind address ~request ~count ~seconds =
  let load =
    if request = "" || kind = Endless then String.make 65536 'x'
    else String.concat "" (List.init (1 + (65536 / String.length request)) (fun _ -> request))
  in
  let members =
    List.init count (fun _ -> { socket = join address; greeted = false; at = 0; gone = false })
  in
  let until = Unix.gettimeofday () +. seconds in
  let octets = ref 0 and resets = ref 0 in
  let act member =
    if member.gone && Option.is_some end_of_it then (
      incr resets;
      member.socket <- join address;
      member.greeted <- false;
      member.at <- 0;
      member.gone <- false);
    if not member.gone then (
      let greeting = if request = "" then "x" else request in
      if (not member.greeted) && (kind <> Idle || request <> "") then (
        let n = push member greeting ~from:0 in
        member.greeted <- n > 0;
        octets := !octets + n);
      if (kind = Unread || kind = Endless) && member.greeted && not member.gone then (
        let n = push member load ~from:member.at in
        member.at <- (member.at + n) mod String.length load;
        octets := !octets + n))
  in
  let is_over () =
    Unix.gettimeofday () >= until || Option.fold end_of_it ~none:false ~some:Sys.file_exists
  in
  while not (is_over ()) do
    let before = !octets in
    List.iter act members;
    if !octets = before then Unix.sleepf 0.02
  done;
  let count f = List.length (List.filter f members) in
  Printf.printf "the crowd: %d, %d of them reset, %d KiB taken from them\n%!" (List.length members)
    (!resets + count (fun m -> m.gone))
    (!octets / 1024);
  exit 0

(* {1 The honest client} *)

let patience = 20.

let connect (domain, address) =
  let socket = Unix.socket ~cloexec:true domain SOCK_STREAM 0 in
  Unix.setsockopt_float socket SO_RCVTIMEO patience;
  Unix.setsockopt_float socket SO_SNDTIMEO patience;
  Unix.connect socket address;
  socket

let ask socket question =
  let n = Unix.write_substring socket question 0 (String.length question) in
  let answer = Bytes.create 65536 in
  if n < String.length question || Unix.read socket answer 0 (Bytes.length answer) = 0 then
    failwith "closed"

(* Seconds, or why not. *)
let timed f =
  let start = Unix.gettimeofday () in
  match f () with
  | () -> Ok (Unix.gettimeofday () -. start)
  | exception Unix.Unix_error (e, _, _) -> Error (Unix.error_message e)
  | exception Failure why -> Error why

type honest = {
  address : Unix.socket_domain * Unix.sockaddr;
  question : string;
  old : Unix.file_descr;
}

let on_a_new_one h () =
  let socket = connect h.address in
  Fun.protect ~finally:(fun () -> Unix.close socket) (fun () -> ask socket h.question)

let failures = ref 0

let report name kind results =
  let good = List.sort compare (List.filter_map Result.to_option results) in
  let bad = List.filter_map (function Error e -> Some e | Ok _ -> None) results in
  let at share = 1000. *. List.nth good (int_of_float (share *. float (List.length good - 1))) in
  failures := !failures + List.length bad;
  if good <> [] then
    Printf.printf "%s, %s: %d answers, median %.1f ms, 99 %% %.1f ms, worst %.1f ms; %d without\n%!"
      name kind (List.length good) (at 0.5) (at 0.99) (at 1.) (List.length bad)
  else Printf.printf "%s, %s: no answer\n%!" name kind;
  List.iteri (fun i why -> if i < 3 then Printf.printf "  %s\n%!" why) bad

let ask_while h name continue =
  let rec go olds news =
    if continue () then (
      let old = timed (fun () -> ask h.old h.question) in
      let fresh = timed (on_a_new_one h) in
      Unix.sleepf 0.1;
      go (old :: olds) (fresh :: news))
    else (
      report name "the old connection" olds;
      report name "new connections" news)
  in
  go [] []

let for_seconds seconds =
  let until = Unix.gettimeofday () +. seconds in
  fun () -> Unix.gettimeofday () < until

let is_there pid () = fst (Unix.waitpid [ WNOHANG ] pid) = 0

let () =
  Sys.set_signal Sys.sigpipe Signal_ignore;
  let texts = function
    | [] ->
        ( "",
          "a hundred octets or so, as they are sent in a small request or a line of a terminal.\n"
        )
    | [ request; question ] -> (Scanf.unescaped request, Scanf.unescaped question)
    | _ -> fail "usage: crowd KIND ADDRESS PORT CONNECTIONS SECONDS [REQUEST QUESTION]"
  in
  match Array.to_list Sys.argv with
  | _ :: what :: host :: port :: count :: seconds :: rest ->
      let request, question = texts rest in
      let host = Unix.inet_addr_of_string host in
      let sockaddr = Unix.ADDR_INET (host, int_of_string port) in
      let address = (Unix.domain_of_sockaddr sockaddr, sockaddr) in
      let h = { address; question; old = connect address } in
      ask_while h "before" (for_seconds 3.);
      (match Unix.fork () with
      | 0 ->
          crowd (kind what) address ~request ~count:(int_of_string count)
            ~seconds:(float_of_string seconds)
      | pid -> ask_while h "during" (is_there pid));
      Unix.sleepf 2.;
      ask_while h "after" (for_seconds 3.);
      if !failures > 0 then exit 1
  | _ -> fail "usage: crowd KIND ADDRESS PORT CONNECTIONS SECONDS [REQUEST QUESTION]"
