(** As much of HTTP/1.1 (RFC 9112) as a static page needs. Pure: a driver feeds it what it receives.
*)

type request = {
  meth : string;
  target : string;  (** without a query *)
  keep_alive : bool;  (** the client wants to use the connection again *)
}

(** The most bytes that a request may have. *)
val max_head : int

(** Reads the first request in the text: [`Request (r, n)] if it takes the first [n] bytes, [`More]
    if it is not complete, [`Bad] if it is not HTTP, is too long, has a body, or does not name one
    host (in HTTP/1.0 it need not name any). *)
val parse : string -> [ `Request of request * int | `More | `Bad ]

(** Pages, and the answers with which they are sent. *)
type pages

(** Paths with their media types and contents. *)
val pages : (string * (string * string)) list -> pages

(** The answer to a request. That with a page was made by {!pages}: it is to be sent as it is, and
    not to be changed. *)
val respond : pages -> request -> Cstruct.t

(** The answer to [`Bad]; the connection is then closed. *)
val bad_request : Cstruct.t
