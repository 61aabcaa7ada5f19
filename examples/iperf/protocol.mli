(** The words of iperf3's control connection, as its client (3.1 and later) speaks them.

    The client sends a {e cookie} on every connection it makes: the first is the control connection,
    those with the same cookie are the streams of its test. On the control connection, single bytes
    tell the {!state} that both sides are in, and JSON texts, each with its length in four bytes
    before it, the parameters and the results. *)

(** 36 characters and a zero byte. *)
val cookie_length : int

(** In the order in which a test goes through them. All are sent by the server, but [Test_end],
    [Iperf_done] and [Client_terminate]. *)
type state =
  | Param_exchange  (** the client's parameters follow *)
  | Create_streams
  | Test_start
  | Test_running
  | Test_end  (** the client's time is over *)
  | Exchange_results  (** the client's results follow, then the server's *)
  | Display_results
  | Iperf_done
  | Client_terminate  (** the client was interrupted *)
  | Access_denied  (** another test is running *)
  | Server_error  (** two numbers of four bytes follow: one of iperf3's own, and an [errno] *)

val byte_of_state : state -> char
val state_of_byte : char -> state option

(** iperf3's number for an option that is not implemented, [IEUNIMP]. *)
val not_implemented : int

type parameters = {
  streams : int;  (** in each direction that is used; 1 to 128 *)
  receives : bool;  (** the server receives on the first [streams] *)
  sends : bool;  (** it sends on the others *)
  block : int;  (** bytes written at once, at most 1 MiB *)
  rate : float;  (** bits per second and stream that the server sends at; 0: no limit *)
  omit : float;  (** seconds at the start that do not count *)
  nodelay : bool;
  seconds : float;  (** that the test is to last; 0 if it ends by something else *)
}

(** Members that say nothing to a server are ignored; an error says what is missing here or wrong
    there. *)
val parameters : Json.t -> (parameters, string) result

type stream = { id : int; bytes : int; retransmits : int option  (** of a stream that sends *) }

(** [seconds]: how long the test ran. *)
val results : seconds:float -> stream list -> Json.t

(** The number that iperf3 gives its [n]th stream, from 0 on. *)
val stream_id : int -> int
