(** Direct style: code that waits in ordinary calls, without promises. It is built on Lwt, so it can
    be mixed with promises and with Rust's futures.

    {[
      open Mirust_stack
      module Net = Mirust_direct.Make (Stack.V4V6)

      let rec echo flow =
        match Net.read flow with
        | Ok (`Data b) when Net.write flow b = Ok () -> echo flow
        | Ok (`Data _ | `Eof) | Error _ -> ()

      let start stack = Net.listen stack ~port:7 echo
    ]}

    A function in direct style runs in a fibre, which has its own OCaml stack. Fibres are cheap
    (some hundred bytes initially) and cooperative: a fibre runs until it waits or ends. *)

(** [run f] starts [f ()] at once, and returns a promise of its result or exception. Cancelling that
    promise cancels what [f] waits for, which raises [Lwt.Canceled] there. *)
val run : (unit -> 'a) -> 'a Lwt.t

(** The promise's result; raises the exception that it was rejected with. Waits for it if necessary,
    which only a fibre can do. A fibre may not wait below a call from Rust, or in a finaliser,
    because that would leave those frames behind.

    @raise Effect.Unhandled if it has to wait elsewhere. *)
val await : 'a Lwt.t -> 'a

(** Starts a fibre without waiting for its result. An exception goes to [Lwt.async_exception_hook].
*)
val fork : (unit -> unit) -> unit

(** Runs each function in a fibre of its own, waits for all of them, and returns the results in
    order. The first exception is raised when all have ended. *)
val all : (unit -> 'a) list -> 'a list

(** Over a stack of Mirage's type, with that stack's results and errors. *)
module Make (S : Mirust_mirage_types.Tcpip.Stack.V4V6) : sig
  type flow = S.TCP.flow

  (** Each connection gets a fibre, and is closed when its function ends, in whatever way. *)
  val listen : S.t -> port:int -> (flow -> unit) -> unit

  (** Waits until the connection is established, or why it is not. *)
  val connect : S.t -> Ipaddr.t * int -> (flow, S.TCP.error) result

  (** Waits for the next bytes, at least one. *)
  val read : flow -> (Cstruct.t Mirust_mirage_types.Mirage_flow.or_eof, S.TCP.error) result

  (** Waits while there is no room. *)
  val write : flow -> Cstruct.t -> (unit, S.TCP.write_error) result

  (** As {!write}, of several pieces in their order. *)
  val writev : flow -> Cstruct.t list -> (unit, S.TCP.write_error) result

  (** Flushes, and closes both directions. *)
  val close : flow -> unit

  (** Sends a datagram. *)
  val send :
    S.t -> ?src_port:int -> dst:Ipaddr.t -> dst_port:int -> Cstruct.t -> (unit, S.UDP.error) result
end
