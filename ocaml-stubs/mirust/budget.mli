(** Shares of the domain's memory: the one place that decides how much of it the network may use.

    What peers can fill has to be bounded, and the bounds have to fit into the available memory.
    This module knows how much that is, and gives each table and queue its share as a plain number,
    so that the code that respects a bound need not know where it comes from. The application and
    the garbage collector have the rest. *)

(** All in bytes, except [connections], [time_wait], [neighbours] and [names]. *)
type t = {
  total : int;  (** what is divided *)
  connections : int;  (** TCP connections in any state; see {!connection_cost} *)
  time_wait : int;  (** of those, in TIME-WAIT *)
  tcp : int;  (** received and not read, or written and not acknowledged, of all connections *)
  buffer : int;  (** of that, the maximum for one connection in each direction *)
  receive : int;  (** pages into which the backend of a Xen device writes frames *)
  send : int;  (** pages for the headers of frames being sent *)
  copied : int;  (** copied frames, as long as any part of them is referenced *)
  reassembly : int;  (** for each version of IP *)
  datagrams : int;  (** received and not yet read, for all sockets in Rust *)
  own : int;  (** in transit from the stack to itself *)
  neighbours : int;  (** with a known link address, for each version of IP *)
  names : int;  (** cached answers of name servers *)
}

(** The maximum cost of a connection when memory is short, in bytes: its state and its server's,
    including garbage not collected yet, and one segment in each of three places: received, being
    written, in flight. *)
val connection_cost : int

(** [divide bytes] is the shares of that many bytes: no more than a program could use, and no less
    than it takes to serve one connection after another. *)
val divide : int -> t

(** The shares of the memory that was free when this was first called; on Unix, of what the process
    may still use within its limit on address space ([ulimit -v]) and its control group's limit, or
    of 512 MiB if there is neither. If these limits leave less than 40 MiB, this and {!look_again}
    make the minor heap as small as it is in a domain, even if [OCAMLRUNPARAM=s=] asks for more. *)
val get : unit -> t

(** [set bytes] makes {!get} divide [bytes] instead, from now on. *)
val set : int -> unit

(** [follow f] calls [f] with the present shares, and again whenever they change: by {!set}, on Xen
    when the size of the domain's memory changes ([xl mem-set]), and on Unix when the limits of the
    process do. *)
val follow : (t -> unit) -> unit

(** Checks, at most ten times a second, whether the limits of the process have changed. If they
    leave less than 512 MiB, it also compacts the heap when less than a quarter of that is unused.
    To be called before memory is allocated on behalf of peers. Memory that the process had when
    {!get} was first called is never divided. Does nothing on Xen, and after {!set}. *)
val look_again : unit -> unit

(** A size in bytes, or with a suffix [K], [M] or [G]: 1 MiB at least and [most] at most. *)
val parse : most:int -> string -> (int, [ `Msg of string ]) result

(** [--network-memory=SIZE], which may be no more than the memory of the domain; on Unix, than the
    limits of the process allow. *)
val parameter : int option Cmdliner.Term.t

(** The shares, as they are logged at the start. *)
val pp : Format.formatter -> t -> unit
