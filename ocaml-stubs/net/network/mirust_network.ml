open Mirust_stack
open Lwt.Infix

let src = Logs.Src.create "mirust.network" ~doc:"The TCP/IP stack in an image"

module Log = (val Logs.src_log src : Logs.LOG)

let environment =
  {
    Mirust_net_env.Env.now = (fun () -> Int64.to_int (Mirust.Mclock.elapsed_ns ()));
    sleep = (fun ns -> Mirust.Time.ns (Int64.of_int ns));
    random = Mirust.Random.generate;
  }

(* Does not allocate: the runtime copies the name into the buffer. *)
external platform_name : bytes -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_platform_name"
[@@noalloc]

let on_xen () =
  let b = Bytes.create 3 in
  platform_name b 3 = 3 && Bytes.to_string b = "xen"

(* The device on Linux copies frames to buffers of the collector's own. At the default setting a few
   hundred of them a second, beside a heap as small as ours, mean a whole collection for each second
   one: half of the processor's time in bulk reception. On Xen frames are views of the device's pages. *)
let buffers_may_wait () = Gc.set { (Gc.get ()) with custom_major_ratio = 1000 }

let init () =
  if not (on_xen ()) then buffers_may_wait ();
  Mirust_net_env.Env.install environment

let stack_limits () : Stack.limits =
  let b = Mirust.Budget.get () and d = Stack.default_limits in
  {
    tcp =
      {
        d.tcp with
        memory_max = b.tcp;
        connections_max = b.connections;
        time_wait_max = b.time_wait;
        receive_buffer = min d.tcp.receive_buffer b.buffer;
        receive_buffer_max = b.buffer;
        send_buffer = min d.tcp.send_buffer b.buffer;
        send_buffer_max = b.buffer;
        backlog = min d.tcp.backlog (b.connections / 4);
      };
    neighbours = { d.neighbours with capacity = b.neighbours };
    reassembly = { d.reassembly with memory = b.reassembly };
    own = b.own;
  }

let page = 4096

(* What was asked for by the page comes first. *)
let device_limits ~receive_pages ~send_pages =
  let b = Mirust.Budget.get () in
  let pages asked octets = if asked > 0 then asked else octets / page in
  {
    Mirust_vif.Vif.receive_pages = pages receive_pages b.receive;
    send_pages = pages send_pages b.send;
    copied = b.copied;
  }

let connect config device =
  init ();
  Stack.connect ~limits:(stack_limits ()) config device

let interface group =
  let default = if on_xen () then "0" else "tap0" in
  let name = match group with None -> "interface" | Some g -> g ^ "-interface" in
  Cmdliner.Arg.(
    value & opt string default
    & info [ name ] ~docv:"NAME" ~docs:Args.section ~doc:"The network interface.")

let limits group =
  let pages name ~doc =
    let name = match group with None -> name | Some g -> g ^ "-" ^ name in
    Cmdliner.Arg.(value & opt int 0 & info [ name ] ~docv:"PAGES" ~docs:Args.section ~doc)
  in
  let receive =
    pages "receive-pages"
      ~doc:"Memory to receive frames into, in pages of 4 KiB (by default a share of the memory)."
  and send =
    pages "send-pages"
      ~doc:"Memory for the heads of frames sent, in pages (by default a share of the memory)."
  in
  let both receive_pages send_pages () = device_limits ~receive_pages ~send_pages in
  Cmdliner.Term.(const both $ receive $ send)

(* One parameter, however many interfaces there are. *)
let memory = lazy (Mirust.Bootvar.register Mirust.Budget.parameter)

let register ?group () =
  let config = Mirust.Bootvar.register (Args.config ?group ()) in
  let interface = Mirust.Bootvar.register (interface group) in
  let limits = Mirust.Bootvar.register (limits group) in
  let memory = Lazy.force memory in
  fun () ->
    Option.iter Mirust.Budget.set (memory ());
    Log.info (fun m -> m "memory: %a" Mirust.Budget.pp (Mirust.Budget.get ()));
    Mirust_vif.Vif.connect ~limits:(limits () ()) (interface ()) >>= function
    | Ok device -> connect (config ()) device
    | Error (`Msg m) -> Lwt.fail_with m
