open Mirust_stack
open Lwt.Infix

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

let connect config device =
  init ();
  Stack.connect config device

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
    pages "receive-pages" ~doc:"Memory to receive frames into, in pages of 4 KiB (default: 768)."
  and send =
    pages "send-pages" ~doc:"Memory for the heads of frames sent, in pages (default: 192)."
  in
  Cmdliner.Term.(
    const (fun receive_pages send_pages -> { Mirust_vif.Vif.receive_pages; send_pages })
    $ receive $ send)

let register ?group () =
  let config = Mirust.Bootvar.register (Args.config ?group ()) in
  let interface = Mirust.Bootvar.register (interface group) in
  let limits = Mirust.Bootvar.register (limits group) in
  fun () ->
    Mirust_vif.Vif.connect ~limits:(limits ()) (interface ()) >>= function
    | Ok device -> connect (config ()) device
    | Error (`Msg m) -> Lwt.fail_with m
