(** The TCP/IP stack in an image.

    A whole server, where [Device.connect] stands for the driver of the image's network device:

    {[
      open Lwt.Infix
      open Mirust_stack

      let config = Mirust_network.config ()

      let rec echo flow =
        Stack.TCP.read flow >>= function
        | Ok (`Data b) -> Stack.TCP.write flow b >>= fun _ -> echo flow
        | Ok `Eof | Error _ -> Stack.TCP.close flow

      let start () =
        Device.connect () >>= Mirust_network.stack (config ()) >>= fun stack ->
        Stack.TCP.listen (Stack.tcp stack) ~port:7 echo;
        Stack.listen stack

      let () = Mirust.Main.run (start ())
    ]} *)

(** Declares the boot parameters of {!Mirust_stack.Args}; to be called at the toplevel of a module.
    The function gives their values. *)
val config : ?group:string -> unit -> unit -> Mirust_stack.Stack.config

(** A stack on the device, by the image's clock and random numbers. *)
val stack : Mirust_stack.Stack.config -> Mirust_netif.Device.t -> Mirust_stack.Stack.t Lwt.t

(** Installs the image's clock and random numbers as {!Mirust_net_env.Env}, for stacks that are put
    together by hand. {!stack} has done it already. *)
val init : unit -> unit
