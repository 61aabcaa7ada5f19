(** The network for Rust: what [mirust::net] of the crate [mirust] stands on.

    {[
      let network = Mirust_network.register ()

      let start () =
        network () >>= fun stack ->
        Mirust_rust.serve stack;
        Mirust_stack.Stack.listen stack
    ]}

    Rust tasks may listen and connect from then on; those that wait for it ([mirust::net::ready])
    are woken. *)

(** Gives the stack to Rust; a later one replaces it for what is opened from then on. *)
val serve : Mirust_stack.Stack.t -> unit

(** Connections that a listener keeps for a Rust task which does not accept them; more are reset. *)
val accept_queue : int

(** Datagrams that a socket keeps for a Rust task which does not receive them; more are dropped. *)
val datagram_queue : int
