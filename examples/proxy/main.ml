(* The OCaml side of proxy: the network, the boot parameters, and who is let in. An accepted flow is
   handed to Rust, which connects to the target and forwards the bytes. *)

open Lwt.Infix
open Cmdliner
open Mirust_stack
module TCP = Stack.TCP
module Places = Mirust.Places

let network = Mirust_network.register ()

(* A machine's address, not that of many or none. *)
let is_one ip =
  not
    (Ipaddr.is_multicast ip || List.mem ip Ipaddr.[ V4 V4.any; V4 V4.broadcast; V6 V6.unspecified ])

(* HOST:PORT; the host is a name, an IPv4 address, or an IPv6 address in brackets. *)
let target =
  let port = Arg.conv_parser (Mirust.Bootvar.number ~least:1 ~most:0xffff) in
  let is_host host =
    match Ipaddr.V4.of_string host with
    | Ok ip -> is_one (V4 ip)
    | Error _ ->
        host <> "" && Result.is_ok (Result.bind (Domain_name.of_string host) Domain_name.host)
  in
  let is_in_brackets host =
    match Ipaddr.V6.of_string host with Ok ip -> is_one (V6 ip) | Error _ -> false
  in
  let parse s =
    let wrong = Error (`Msg (Fmt.str "%S is not HOST:PORT" s)) in
    match String.rindex_opt s ':' with
    | None -> wrong
    | Some colon -> (
        let bracketed = colon > 1 && s.[0] = '[' && s.[colon - 1] = ']' in
        let host = if bracketed then String.sub s 1 (colon - 2) else String.sub s 0 colon in
        match port (String.sub s (colon + 1) (String.length s - colon - 1)) with
        | Ok port when if bracketed then is_in_brackets host else is_host host -> Ok (host, port)
        | Ok _ | Error _ -> wrong)
  in
  let print ppf (host, port) = Fmt.pf ppf "%s:%d" host port in
  let doc = "Where connections are passed on to." in
  let arg =
    Arg.(opt (some (conv (parse, print))) None & info [ "target" ] ~docv:"HOST:PORT" ~doc)
  in
  Mirust.Bootvar.register (Arg.required arg)

let number name default ~least ~most ~doc =
  let number = Mirust.Bootvar.number ~least ~most in
  Mirust.Bootvar.register Arg.(value & opt number default & info [ name ] ~docv:"N" ~doc)

let port = number "port" 80 ~least:1 ~most:0xffff ~doc:"The port that is listened on."

let limit =
  number "limit" 0 ~least:0 ~most:1_000_000
    ~doc:
      "Connections at a time; for each more, one that makes no progress is reset. By default a \
       third of what the memory is enough for."

(* Each needs another connection to the target, and those that are closing count too. *)
let places =
  lazy
    (match limit () with
    | 0 -> Places.of_memory (fun { connections; _ } -> max 16 (min 1024 (connections / 3)))
    | limit -> Places.create limit)

(* Any client can provoke errors on connections: they are logged the first few times, and then each time their number
   has doubled. *)
let complaints = ref 0

let complain f =
  incr complaints;
  let n = !complaints in
  if n <= 8 || n land (n - 1) = 0 then Logs.warn (fun m -> f (m "%a:%d: %s (complaint %d)") n)

let idle =
  number "idle" 300 ~least:1 ~most:1_000_000_000
    ~doc:"Seconds without a byte after which a connection is reset."

(* {1 Connections} *)

let connections = ref 0
let none_left = Lwt_condition.create ()

(* A client that has to make room gets nothing more, and neither does its target. *)
let pass_on place flow =
  let host, port = target () in
  let moved progress answered busy =
    if answered then Places.served place else if progress then Places.moved place;
    Places.set_busy place busy
  in
  Rust.relay flow host port (idle ()) moved

let let_in ip port flow =
  let relay = ref Lwt.return_unit in
  let leave () =
    TCP.abort flow;
    Lwt.cancel !relay
  in
  let places = Lazy.force places in
  let place = Places.take places ~leave in
  let failed e = complain (fun m n -> m Ipaddr.pp ip port e n) in
  incr connections;
  let relayed =
    Lwt.catch
      (fun () -> pass_on place flow)
      (fun e ->
        TCP.abort flow;
        if e = Lwt.Canceled then Lwt.return_ok () else Lwt.return_error (Printexc.to_string e))
    >|= function
    | Ok () -> ()
    | Error e -> failed e
  in
  relay := relayed;
  Lwt.finalize
    (fun () -> relayed)
    (fun () ->
      Places.give places place;
      decr connections;
      if !connections = 0 then Lwt_condition.broadcast none_left ();
      Lwt.return_unit)

(* Only the proxy itself connects from an address of its own: the target's name leads back here. Each such connection
   would be passed on by another one, until all places are taken. *)
let is_ours stack ip = Ipaddr.compare (Stack.IP.src (Stack.ip stack) ~dst:ip) ip = 0
let itself = "the target is the proxy itself"

let accept stack flow =
  let ip, port = TCP.dst flow in
  if is_ours stack ip then (
    complain (fun m n -> m Ipaddr.pp ip port itself n);
    Lwt.return (TCP.abort flow))
  else let_in ip port flow

(* {1 The end} *)

(* How long connections may take to end by themselves. *)
let grace = Duration.of_sec 3

let drain stack =
  TCP.unlisten (Stack.tcp stack) ~port:(port ());
  let ended = if !connections = 0 then Lwt.return_unit else Lwt_condition.wait none_left in
  Lwt.pick [ ended; Mirust.Time.ns grace ] >|= fun () ->
  Logs.app (fun m -> m "%d connections cut, %d bytes were copied" !connections (Rust.copied ()))

(* An address that is the proxy's own is a wrong command line; names are looked up for each connection. *)
let refuse_itself stack =
  let host, target_port = target () in
  match Ipaddr.of_string host with
  | Ok ip when target_port = port () && is_ours stack ip ->
      prerr_endline ("proxy: option '--target': " ^ itself);
      exit 64
  | Ok _ | Error _ -> ()

let start () =
  network () >>= fun stack ->
  Mirust_rust.serve stack;
  TCP.listen (Stack.tcp stack) ~port:(port ()) (accept stack);
  Stack.ready stack >>= fun () ->
  refuse_itself stack;
  Logs.app (fun m ->
      m "proxy on port %d of %a" (port ())
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  Lwt.pick [ Stack.listen stack; (Mirust.Main.shutdown_requested () >>= fun _ -> drain stack) ]
  >>= fun () -> Stack.disconnect stack

let () = Mirust.Main.run (start ())
