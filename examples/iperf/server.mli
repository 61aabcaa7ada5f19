(** An iperf3 server for TCP: one test at a time, any number of streams, either direction or both.
*)

(** iperf3's port. *)
val port : int

(** Listens; every test is reported by a line on standard output. *)
val listen : Mirust_stack.Stack.t -> unit
