open Mirust_stack
open Lwt.Infix
module Image = Mirust_net_image

let src = Logs.Src.create "mirust.network" ~doc:"The TCP/IP stack in an image"

module Log = (val Logs.src_log src : Logs.LOG)

let init = Image.init

let stack_limits () : Stack.limits =
  {
    tcp = Image.tcp ();
    neighbours = Image.neighbours ();
    reassembly = Image.reassembly ();
    own = Image.own ();
  }

let connect config device =
  init ();
  Stack.connect ~limits:(stack_limits ()) config device >|= fun stack ->
  Image.follow (Stack.TCP.engine (Stack.tcp stack));
  stack

let interface group =
  let default = if Image.on_xen () then "0" else "tap0" in
  let name = match group with None -> "interface" | Some g -> g ^ "-interface" in
  Cmdliner.Arg.(
    value & opt string default
    & info [ name ] ~docv:"NAME" ~docs:Args.section ~doc:"The network interface.")

let limits group =
  let pages name ~least ~doc =
    let name = match group with None -> name | Some g -> g ^ "-" ^ name in
    let number = Mirust.Bootvar.number ~least ~most:65535 in
    Cmdliner.Arg.(
      value & opt (some number) None & info [ name ] ~docv:"PAGES" ~docs:Args.section ~doc)
  in
  let receive =
    pages "receive-pages" ~least:64
      ~doc:"Memory to receive frames into, in pages of 4 KiB (by default a share of the memory)."
  and send =
    pages "send-pages" ~least:16
      ~doc:"Memory for the heads of frames sent, in pages (by default a share of the memory)."
  in
  let both receive_pages send_pages = (receive_pages, send_pages) in
  Cmdliner.Term.(const both $ receive $ send)

let register ?group () =
  let config = Mirust.Bootvar.register (Args.config ?group ()) in
  let interface = Mirust.Bootvar.register (interface group) in
  let limits = Mirust.Bootvar.register (limits group) in
  let memory = Image.register () in
  fun () ->
    memory ();
    Mirust.Budget.follow (fun budget -> Log.info (fun m -> m "memory: %a" Mirust.Budget.pp budget));
    let receive_pages, send_pages = limits () in
    Image.connect ?receive_pages ?send_pages (interface ()) >>= function
    | Ok device -> connect (config ()) device
    | Error (`Msg m) -> Lwt.fail (Mirust.Unavailable m)
