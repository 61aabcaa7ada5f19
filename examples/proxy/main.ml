(* The OCaml side of proxy: the network, the boot parameters, and who is let in. An accepted flow is
   handed to Rust, which connects to the target and forwards the bytes. *)

open Lwt.Infix
open Cmdliner
open Mirust_stack
module TCP = Stack.TCP
module Places = Mirust.Places

let network = Mirust_network.register ()

(* HOST:PORT; the host is a name, an IPv4 address, or an IPv6 address in brackets. *)
let target =
  let parse s =
    match String.rindex_opt s ':' with
    | None -> Error (`Msg "expected HOST:PORT")
    | Some colon -> (
        let bracketed = colon > 1 && s.[0] = '[' && s.[colon - 1] = ']' in
        let host = if bracketed then String.sub s 1 (colon - 2) else String.sub s 0 colon in
        let port = String.sub s (colon + 1) (String.length s - colon - 1) in
        let is_host =
          if bracketed then Result.is_ok (Ipaddr.V6.of_string host)
          else host <> "" && not (String.exists (String.contains ":[]") host)
        in
        match int_of_string_opt port with
        | Some port when port > 0 && port < 0x10000 && is_host -> Ok (host, port)
        | Some _ | None -> Error (`Msg "expected HOST:PORT"))
  in
  let print ppf (host, port) = Fmt.pf ppf "%s:%d" host port in
  let doc = "Where connections are passed on to." in
  let arg =
    Arg.(opt (some (conv (parse, print))) None & info [ "target" ] ~docv:"HOST:PORT" ~doc)
  in
  Mirust.Bootvar.register (Arg.required arg)

let number name default ~least ~most ~doc =
  let parse s =
    match int_of_string_opt s with
    | Some n when n >= least && n <= most -> Ok n
    | Some _ | None -> Error (`Msg (Fmt.str "expected a number from %d to %d" least most))
  in
  let number = Arg.conv (parse, Fmt.int) in
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

let accept flow =
  let relay = ref Lwt.return_unit in
  let leave () =
    TCP.abort flow;
    Lwt.cancel !relay
  in
  let places = Lazy.force places in
  let place = Places.take places ~leave in
  let ip, port = TCP.dst flow in
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

(* {1 The end} *)

(* How long connections may take to end by themselves. *)
let grace = Duration.of_sec 3

let drain stack =
  TCP.unlisten (Stack.tcp stack) ~port:(port ());
  let ended = if !connections = 0 then Lwt.return_unit else Lwt_condition.wait none_left in
  Lwt.pick [ ended; Mirust.Time.ns grace ] >|= fun () ->
  Logs.app (fun m -> m "%d connections cut, %d bytes were copied" !connections (Rust.copied ()))

let start () =
  network () >>= fun stack ->
  Mirust_rust.serve stack;
  TCP.listen (Stack.tcp stack) ~port:(port ()) accept;
  Stack.ready stack >>= fun () ->
  Logs.app (fun m ->
      m "proxy on port %d of %a" (port ())
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack)));
  Lwt.pick [ Stack.listen stack; (Mirust.Main.shutdown_requested () >>= fun _ -> drain stack) ]
  >>= fun () -> Stack.disconnect stack

let () = Mirust.Main.run (start ())
