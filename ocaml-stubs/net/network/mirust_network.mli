(** The TCP/IP stack in an image. A complete server:

    {[
      open Lwt.Infix
      open Mirust_stack

      let network = Mirust_network.register ()

      let rec echo flow =
        Stack.TCP.read flow >>= function
        | Ok `Eof | Error _ -> Stack.TCP.close flow
        | Ok (`Data b) -> (
            Stack.TCP.write flow b >>= function
            | Ok () -> echo flow
            | Error _ -> Stack.TCP.close flow)

      let start () =
        network () >>= fun stack ->
        Stack.TCP.listen (Stack.tcp stack) ~port:7 echo;
        Stack.listen stack

      let () = Mirust.Main.run (start ())
    ]} *)

open Mirust_stack

(** Declares boot parameters; call it at the toplevel of a module. They are those of
    {!Mirust_stack.Args}, and [--interface=NAME], the device as for {!Mirust_vif.Vif.connect}
    (default: ["0"] on Xen, the TAP interface ["tap0"] on Linux), with [--receive-pages=N] (64 to
    65535) and [--send-pages=N] (16 to 65535) for the memory that it may use on Xen. [group] is a
    prefix for all of them, for a second interface. [--network-memory=SIZE] never has a prefix: see
    {!Mirust.Budget}.

    The function it returns connects the device, waits until its link is up, and returns a stack on
    it.

    @raise Mirust.Unavailable if there is no such device. *)
val register : ?group:string -> unit -> unit -> Stack.t Lwt.t

(** A stack on a device, with the image's clock, random numbers and memory. *)
val connect : Stack.config -> Mirust_netif.Device.t -> Stack.t Lwt.t

(** Installs the image's clock and random numbers as {!Mirust_net_env.Env}, for stacks that are
    assembled by hand. {!connect} does this by itself. *)
val init : unit -> unit
