(** The domain's memory, divided: the one place that says how much of it the network may take.

    What others can fill has to be bounded, and the bounds have to fit into the memory there is.
    This module knows how much that is, and gives each table and queue its share, as plain numbers:
    those who keep to them know nothing of where they come from. The application and its collector
    have the rest. *)

(** Bytes, but for [connections], [time_wait], [neighbours] and [names]. *)
type t = {
  total : int;  (** what is divided *)
  connections : int;  (** of TCP, in whatever state; see {!connection_cost} *)
  time_wait : int;  (** of them, in TIME-WAIT *)
  tcp : int;  (** received and not read, or written and not acknowledged, of all connections *)
  buffer : int;  (** of that, what one connection may have each way at most *)
  receive : int;  (** pages that the other end of a Xen device writes frames to *)
  send : int;  (** pages with the heads of frames that are sent *)
  copied : int;  (** frames that are copied, as long as anybody has a part of them *)
  reassembly : int;  (** of each version of IP *)
  datagrams : int;  (** received and not yet taken, of all sockets in Rust *)
  own : int;  (** on its way from the stack to itself *)
  neighbours : int;  (** whose link address is known, of each version of IP *)
  names : int;  (** answers of name servers that are remembered *)
}

(** What a connection costs at most when memory is short, in bytes: its state and that of whoever
    serves it, with what the collector has not found yet, and a segment in each of the three places
    where one may be even then: received, being written, in flight. *)
val connection_cost : int

(** The shares of so many bytes: no more than a program could use, and no less than it takes to
    serve one connection after the other. *)
val divide : int -> t

(** Of what the domain had free when this was first asked for; on Unix, of what the process may
    still take by its limit on address space ([ulimit -v]) and its control group's limit, or of 512
    MiB without either. *)
val get : unit -> t

(** [set bytes]: that is divided instead, from now on. *)
val set : int -> unit

(** [--network-memory=SIZE]: bytes, or with [K], [M] or [G] behind it. *)
val parameter : int option Cmdliner.Term.t

val pp : Format.formatter -> t -> unit
