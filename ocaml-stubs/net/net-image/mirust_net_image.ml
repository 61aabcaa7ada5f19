open Mirust_net_engine

let environment =
  {
    (* Frames that have come together have come at one time, and go out at one. *)
    Mirust_net_env.Env.now = Mirust.Exchange.now;
    sleep = (fun ns -> Mirust.Time.ns (Int64.of_int ns));
    random = Mirust.Random.generate;
  }

let on_xen () = Mirust.platform () = "xen"

(* The device on Linux copies frames to buffers of the collector's own. At the default setting a few
   hundred of them a second, beside a heap as small as ours, mean a whole collection for each second
   one: half of the processor's time in bulk reception. On Xen frames are views of the device's pages. Where
   memory is short it is better spent on collections than on dead buffers. *)
let plenty = 256 * 1024 * 1024

let buffers_may_wait =
  let usual = (Gc.get ()).custom_major_ratio in
  fun may ->
    let custom_major_ratio = if may then 1000 else usual in
    let now = Gc.get () in
    if now.custom_major_ratio <> custom_major_ratio then Gc.set { now with custom_major_ratio }

let init () =
  if not (on_xen ()) then
    Mirust.Budget.follow (fun { total; _ } -> buffers_may_wait (total >= plenty));
  Mirust_net_env.Env.install environment;
  Mirust_net_env.Env.install_soon Mirust.Main.soon;
  Mirust_net_env.Env.install_interlude Mirust.Main.at_interlude;
  Mirust_net_env.Env.install_forget Mirust.Exchange.forget;
  Mirust_net_env.Env.install_attempt Mirust.Main.attempt

let memory = lazy (Mirust.Bootvar.register Mirust.Budget.parameter)

let register () =
  let memory = Lazy.force memory in
  fun () -> Option.iter Mirust.Budget.set (memory ())

let tcp () =
  let b = Mirust.Budget.get () and d = Mirust_tcp.Engine.default_config in
  {
    d with
    memory_max = b.tcp;
    connections_max = b.connections;
    time_wait_max = b.time_wait;
    receive_buffer = min d.receive_buffer b.buffer;
    receive_buffer_max = b.buffer;
    send_buffer = min d.send_buffer b.buffer;
    send_buffer_max = b.buffer;
    backlog = min d.backlog (b.connections / 4);
  }

(* For as long as there is [v]: what is closed is not kept for this. *)
let follow_with v f =
  let place = Weak.create 1 in
  Weak.set place 0 (Some v);
  Mirust.Budget.follow (fun budget -> Option.iter (f budget) (Weak.get place 0))

let follow engine =
  follow_with engine (fun { tcp; connections; time_wait; _ } engine ->
      Mirust_tcp.Engine.set_bounds engine ~memory:tcp ~connections ~time_wait)

let neighbours () = { Neighbour.default with capacity = (Mirust.Budget.get ()).neighbours }
let reassembly () = { Reassembly.default with memory = (Mirust.Budget.get ()).reassembly }
let own () = (Mirust.Budget.get ()).own
let page = 4096

let device ?receive_pages ?send_pages () =
  let b = Mirust.Budget.get () in
  let pages asked octets = Option.value asked ~default:(octets / page) in
  {
    Mirust_vif.Vif.receive_pages = pages receive_pages b.receive;
    send_pages = pages send_pages b.send;
    copied = b.copied;
  }

let connect ?receive_pages ?send_pages name =
  let limits = device ?receive_pages ?send_pages () in
  Mirust_vif.Vif.connect ~limits name
  |> Lwt.map (fun result ->
         Result.iter
           (fun device ->
             follow_with device (fun { copied; _ } device ->
                 Mirust_vif.Vif.set_copied device copied))
           result;
         result)
