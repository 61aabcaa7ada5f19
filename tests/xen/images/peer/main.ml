(* Our end of the tests against other stacks: an echo server (port 7), one that discards (port 9), an iperf3 server,
   counters as text (port 17), memory that is used (port 18), bytes without end (port 19), and, where asked, an echo
   client that checks what comes back and then ends. *)

open Lwt.Infix
open Mirust_net_mock
open Mirust_stack
open Mirust_vif
module TCP = Stack.TCP

let parameter default kind name doc =
  Mirust.Bootvar.register Cmdliner.Arg.(value & opt kind default & info [ name ] ~doc)

let config = Mirust.Bootvar.register (Args.config ())
let interface = parameter "0" Cmdliner.Arg.string "interface" "The network interface."
let server = parameter "" Cmdliner.Arg.string "connect" "Be a client of this ADDRESS."
let port = parameter 7 Cmdliner.Arg.int "port" "The port of that server."
let bytes = parameter 1000 Cmdliner.Arg.int "bytes" "Bytes that the client sends on a connection."
let connections = parameter 1 Cmdliner.Arg.int "connections" "Connections of the client."

(* So that memory that grows can be told from slabs, of 256 KiB with this bound. *)
let limits = { Vif.default_limits with copied = 4 lsl 20 }

(* {1 Suspension} *)

let refusal = parameter "" Cmdliner.Arg.string "refuse" "Why the domain cannot be suspended."

(* What the test looks for: how long it was, that the monotonic clock stood still, and numbers that no other
   domain draws. *)
let say_how_it_was () =
  let before = ref 0L in
  let ms ns = Int64.div ns 1_000_000L in
  Mirust.Suspend.on_suspend (fun () ->
      Fmt.pr "about to be suspended@.";
      before := Mirust.Mclock.elapsed_ns ();
      if refusal () = "" then Lwt.return_ok () else Lwt.return_error (refusal ()));
  Mirust.Suspend.on_resume (fun { away; cancelled } ->
      let by_monotonic = Int64.sub (Mirust.Mclock.elapsed_ns ()) !before in
      Fmt.pr "back: away %Ld ms, monotonic %Ld ms, %s, drew %s@." (ms away) (ms by_monotonic)
        (if cancelled then "here" else "elsewhere")
        (String.fold_left
           (fun hex c -> Printf.sprintf "%s%02x" hex (Char.code c))
           "" (Mirust.Random.generate 16));
      Lwt.return_unit)

(* {1 The cable} *)

let chance name = parameter 0. Cmdliner.Arg.float name (name ^ " frames with this probability")
let drop = chance "drop"
let duplicate = chance "duplicate"
let corrupt = chance "corrupt"
let reorder = chance "reorder"
let delay = parameter 0 Cmdliner.Arg.int "delay" "Milliseconds that each frame takes."

let cable device =
  let ms n = n * 1_000_000 in
  let conditions =
    {
      Network.perfect with
      drop = drop ();
      duplicate = duplicate ();
      corrupt = corrupt ();
      reorder = reorder ();
      reorder_by = ms 3;
      delay = ms (delay ());
    }
  in
  if conditions = { Network.perfect with reorder_by = ms 3 } then device
  else Cable.plug conditions device

(* {1 Servers} *)

let rec echo flow =
  TCP.read flow >>= function
  | Ok `Eof | Error _ -> TCP.close flow
  | Ok (`Data b) -> (
      TCP.write flow b >>= function Ok () -> echo flow | Error _ -> TCP.close flow)

let rec discard flow =
  TCP.read flow >>= function Ok (`Data _) -> discard flow | Ok `Eof | Error _ -> TCP.close flow

let generate =
  let bytes = Cstruct.create 65536 in
  let rec go flow =
    TCP.write flow bytes >>= function Ok () -> go flow | Error _ -> TCP.close flow
  in
  go

let counters device flow =
  let text =
    Fmt.str "%a@\npoll: %a@\nmemory: %a@\nnetwork: %a@\n"
      Fmt.(option Vif.pp_stats)
      (Vif.stats device) Mirust.Stats.Poll.pp (Mirust.Stats.Poll.get ()) Mirust.Stats.Memory.pp
      (Mirust.Stats.Memory.get ()) Mirust.Budget.pp (Mirust.Budget.get ())
  in
  TCP.write flow (Cstruct.of_string text) >>= fun _ -> TCP.close flow

(* Uses this many MiB, each page of them, as long as the connection is open. *)
let hold flow =
  TCP.read flow >>= function
  | Ok `Eof | Error _ -> TCP.close flow
  | Ok (`Data b) ->
      let length = int_of_string (String.trim (Cstruct.to_string b)) * 1024 * 1024 in
      let answer s = TCP.write flow (Cstruct.of_string s) in
      (match Bigarray.(Array1.create char c_layout length) with
      | exception Out_of_memory -> answer "no memory\n"
      | memory ->
          Bigarray.Array1.fill memory 'x';
          answer "held\n" >>= fun _ ->
          TCP.read flow >|= fun _ -> Ok (ignore (Sys.opaque_identity memory.{length - 1} : char)))
      >>= fun (_ : (unit, TCP.write_error) result) ->
      (* Not when the collector happens to find it. *)
      Gc.full_major ();
      TCP.close flow

(* {1 The client} *)

let or_fail pp = function Ok v -> Lwt.return v | Error e -> Fmt.failwith "%a" pp e
let chunk = 65536

let rec send flow stream place =
  let length = min chunk (bytes () - place) in
  if length = 0 then TCP.shutdown flow `write
  else
    let b = Cstruct.of_string (String.init length (fun i -> Pattern.byte ~stream (place + i))) in
    TCP.write flow b >>= or_fail TCP.pp_write_error >>= fun () -> send flow stream (place + length)

let rec check flow stream place =
  TCP.read flow >>= or_fail TCP.pp_error >>= function
  | `Eof when place = bytes () -> Lwt.return_unit
  | `Eof -> Fmt.failwith "connection %d ends after %d bytes" stream place
  | `Data b ->
      for i = 0 to Cstruct.length b - 1 do
        if Cstruct.get_char b i <> Pattern.byte ~stream (place + i) then
          Fmt.failwith "connection %d: byte %d differs" stream (place + i)
      done;
      check flow stream (place + Cstruct.length b)

let connection stack address stream =
  TCP.create_connection (Stack.tcp stack) (address, port ()) >>= or_fail TCP.pp_error
  >>= fun flow ->
  Lwt.join [ send flow stream 0; check flow stream 0 ] >>= fun () -> TCP.close flow

let client stack address =
  let start = Mirust.Mclock.elapsed_ns () in
  Lwt.join (List.init (connections ()) (connection stack address)) >|= fun () ->
  Fmt.pr "%d bytes on each of %d connections came back intact in %.2f s@." (bytes ())
    (connections ())
    (Int64.to_float (Int64.sub (Mirust.Mclock.elapsed_ns ()) start) /. 1e9)

let start () =
  say_how_it_was ();
  Vif.connect ~limits (interface ()) >>= function
  | Error (`Msg message) -> Lwt.fail_with message
  | Ok device ->
      Mirust_network.connect (config ()) (cable device) >>= fun stack ->
      TCP.listen (Stack.tcp stack) ~port:7 echo;
      TCP.listen (Stack.tcp stack) ~port:9 discard;
      TCP.listen (Stack.tcp stack) ~port:17 (counters device);
      TCP.listen (Stack.tcp stack) ~port:18 hold;
      TCP.listen (Stack.tcp stack) ~port:19 generate;
      Server.listen stack;
      Stack.settled stack >>= fun () ->
      Fmt.pr "ready: %a@."
        Fmt.(list ~sep:(any ", ") Ipaddr.Prefix.pp)
        (Stack.IP.configured_ips (Stack.ip stack));
      if server () = "" then Mirust.Main.shutdown_requested () >>= fun _ -> Stack.disconnect stack
      else client stack (Ipaddr.of_string_exn (server ()))

let () = Mirust.Main.run (start ())
