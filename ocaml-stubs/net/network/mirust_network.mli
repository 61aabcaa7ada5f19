(** The TCP/IP stack in an image. A whole server:

    {[
      open Lwt.Infix
      open Mirust_stack

      let network = Mirust_network.register ()

      let rec echo flow =
        Stack.TCP.read flow >>= function
        | Ok (`Data b) -> Stack.TCP.write flow b >>= fun _ -> echo flow
        | Ok `Eof | Error _ -> Stack.TCP.close flow

      let start () =
        network () >>= fun stack ->
        Stack.TCP.listen (Stack.tcp stack) ~port:7 echo;
        Stack.listen stack

      let () = Mirust.Main.run (start ())
    ]} *)

open Mirust_stack

(** Declares boot parameters; to be called at the toplevel of a module. They are those of {!Args},
    and [--interface=NAME] for the device as {!Mirust_vif.Vif.connect} takes it (default: ["0"] on
    Xen, the TAP interface ["tap0"] on Linux), with [--receive-pages=N] and [--send-pages=N] for the
    memory it may take on Xen. [group] is a prefix for all of them, for a second interface. One that
    has no prefix is [--network-memory=SIZE]: see {!Mirust.Budget}.

    The function it returns connects the device, waiting until its link is up, and gives a stack on
    it.

    @raise Mirust.Unavailable if there is no such device. *)
val register : ?group:string -> unit -> unit -> Stack.t Lwt.t

(** A stack on a device, by the image's clock, random numbers and memory. *)
val connect : Stack.config -> Mirust_netif.Device.t -> Stack.t Lwt.t

(** Installs the image's clock and random numbers as {!Mirust_net_env.Env}, for stacks that are put
    together by hand. {!connect} has done it already. *)
val init : unit -> unit
