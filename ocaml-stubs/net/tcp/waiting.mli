(** Connections in TIME-WAIT that their users have closed: only their addresses, sequence numbers,
    timestamps and end are kept, a tenth of what a whole connection takes. When a segment arrives
    for one, which is rare, it becomes a whole connection for the rest of the turn ({!Tcb.revive}).
*)

type entry = {
  local : Ipaddr.t;
  local_port : int;
  remote : Ipaddr.t;
  remote_port : int;
  hash : int;  (** of these, as in {!Table} *)
  until : int;  (** ns: the end of TIME-WAIT *)
  snd_nxt : Seq.t;
  snd_wnd_max : int;  (** how old an acknowledgement may be *)
  rcv_nxt : Seq.t;
  rcv_adv : Seq.t;
  rcv_shift : int;
  mss : int;
  sack_ok : bool;
  ts_offset : int;
  ts_recent : int;  (** -1: there are no timestamps *)
  ts_recent_at : int;
  repeats_paid : int;
      (** as in {!Block.field-answers}: what strangers may provoke is bounded here, too *)
  odd_at : int;
  odd_wait : int;
  mutable chain : entry;  (** of the same place in the table *)
  mutable older : entry;
  mutable newer : entry;
}

(** No entry; also what a new entry's links are. *)
val none : entry

type t

val create : unit -> t
val length : t -> int

(** {!none} if there is no such one. *)
val find :
  t -> hash:int -> local:Ipaddr.t -> local_port:int -> remote:Ipaddr.t -> remote_port:int -> entry

val add : t -> entry -> unit

(** It must be there. *)
val remove : t -> entry -> unit

(** The one that was added first; {!none} if there is none. *)
val oldest : t -> entry

val clear : t -> unit

(** Removes those whose time has come, in the order in which they were added: one that was added
    again with an old deadline is there until those before it go, at most twice its time. A caller
    that finds it after [until] has to remove it. *)
val expire : t -> now:int -> unit

(** When {!expire} is due next; [max_int] if never. *)
val next : t -> int
