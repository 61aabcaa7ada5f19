(** DNS messages (RFC 1035), as far as a resolver's client needs them: addresses, aliases, and what
    says how long a missing name stays missing. *)

type name = [ `raw ] Domain_name.t

(** What is asked for. *)
type kind = A | Aaaa

type data =
  | Address of Ipaddr.V4.t
  | Address6 of Ipaddr.V6.t
  | Alias of name  (** CNAME *)
  | Authority of { minimum : int }
      (** SOA, of which only the time to live of negative answers matters (RFC 2308); seconds *)
  | Other of int  (** the type of a record that is skipped *)

type record = {
  name : name;
  ttl : int;  (** seconds; a value with the top bit set reads as 0 (RFC 2181 section 8) *)
  data : data;
}

type t = {
  id : int;
  response : bool;
  truncated : bool;
  rcode : int;  (** 0: no error, 2: server failure, 3: no such name, 5: refused *)
  question : name * kind;
  answers : record list;
  authority : record list;
  damaged : bool;  (** an answer could not be read: it is [Other] *)
}

type error =
  | Truncated
  | Bad_name  (** a label or name too long, or a pointer that does not lead backwards *)
  | Bad_record
  | Unsupported
      (** not a standard query with exactly one question for addresses in the Internet class *)

val pp_error : error Fmt.t
val pp : t Fmt.t

(** The payload of a UDP datagram, or a TCP message without its length. Additional records are not
    read; nor is what lies behind 256 records of a section, or behind those that take 128 KiB of
    memory. *)
val parse : Cstruct.t -> (t, error) result

(** A message in full, names uncompressed. [payload_size] adds an EDNS0 record (RFC 6891) that
    invites answers of up to this many bytes. *)
val emit : ?payload_size:int -> t -> Cstruct.t

(** A question, with recursion desired. *)
val query : id:int -> name -> kind -> t
