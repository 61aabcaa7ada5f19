(** Gives the network to Rust: [mirust::net] of the crate [mirust] is built on this.

    {[
      let network = Mirust_network.register ()

      let start () =
        network () >>= fun stack ->
        Mirust_rust.serve stack;
        Mirust_stack.Stack.listen stack
    ]}

    From then on Rust tasks may listen and connect; those that wait for it ([mirust::net::ready])
    are woken. *)

(** Gives the stack to Rust; calling it again replaces the stack for everything opened from then on.
*)
val serve : Mirust_stack.Stack.t -> unit

(** The number of connections that wait to be accepted by a Rust task; more are reset. *)
val accept_queue : int

(** The number of datagrams that wait to be received by a Rust task; more are dropped. *)
val datagram_queue : int
