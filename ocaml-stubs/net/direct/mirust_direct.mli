(** Direct style: code that waits as other code calls, with no promise in it. Below it is Lwt's
    loop, so that it runs beside promises, and futures of Rust, as one of them.

    {[
      open Mirust_stack
      module Net = Mirust_direct.Make (Stack.V4V6)

      let rec echo flow =
        match Net.read flow with
        | Ok (`Data b) when Net.write flow b = Ok () -> echo flow
        | Ok (`Data _ | `Eof) | Error _ -> ()

      let start stack = Net.listen stack ~port:7 echo
    ]}

    A function in direct style runs in a fibre, which is an OCaml stack of its own. It is cheap
    (some hundred bytes to begin with), and nothing is shared between two but what they agree on: a
    fibre goes on until it waits or ends. *)

(** [run f] begins with [f ()] at once, and is the promise of its result, or of what it raises.
    Cancelling that promise cancels what [f] waits for, which raises [Lwt.Canceled] there. *)
val run : (unit -> 'a) -> 'a Lwt.t

(** The promise's result, or what it failed with; waits for it if it must, which only a fibre can. A
    fibre may not wait while OCaml was called from Rust, or from a finaliser: it would leave those
    frames behind.

    @raise Effect.Unhandled if that is asked for elsewhere. *)
val await : 'a Lwt.t -> 'a

(** Begins with a fibre, whose result nobody waits for. An exception is
    [Lwt.async_exception_hook]'s. *)
val fork : (unit -> unit) -> unit

(** Each in a fibre of its own; all results, in their order, when all are there. The first exception
    is raised when all have ended. *)
val all : (unit -> 'a) list -> 'a list

(** A stack of Mirage's type: results and errors are its own. *)
module Make (S : Mirust_mirage_types.Tcpip.Stack.V4V6) : sig
  type flow = S.TCP.flow

  (** Each connection has a fibre, and is closed when its function ends, however that is. *)
  val listen : S.t -> port:int -> (flow -> unit) -> unit

  val connect : S.t -> Ipaddr.t * int -> (flow, S.TCP.error) result
  val read : flow -> (Cstruct.t Mirust_mirage_types.Mirage_flow.or_eof, S.TCP.error) result

  (** Waits while there is no room. *)
  val write : flow -> Cstruct.t -> (unit, S.TCP.write_error) result

  val writev : flow -> Cstruct.t list -> (unit, S.TCP.write_error) result
  val close : flow -> unit

  (** A datagram. *)
  val send :
    S.t -> ?src_port:int -> dst:Ipaddr.t -> dst_port:int -> Cstruct.t -> (unit, S.UDP.error) result
end
