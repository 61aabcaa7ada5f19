(** A doubly linked list: adding at the end, taking from the front and removing from the middle take
    constant time. *)

type 'a t

(** An element's place; it is in one chain at a time, or in none. *)
type 'a link

val create : unit -> 'a t
val length : 'a t -> int

(** A place in no chain. *)
val link : 'a -> 'a link

(** At the end; taken out of where it was before. *)
val append : 'a t -> 'a link -> unit

(** Nothing happens to one that is in no chain. *)
val remove : 'a link -> unit

val first : 'a t -> 'a option
val is_in : 'a link -> 'a t -> bool
