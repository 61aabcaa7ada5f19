(* A client's connection, and the memory that it uses. *)

module TCP = Mirust_stack.Stack.TCP
module Places = Mirust.Places
module Store = Rust.Store

(* Shares of what the domain has: the store, large requests on their way in, large replies on their way
   out. Others can fill each of them, and none of them more than that. Small requests and replies come and
   go whatever else there is. *)

type memory = { store : Store.t; requests : Pool.t; replies : Pool.t }

let memory =
  lazy
    (let t = { store = Store.create 0; requests = Pool.create 0; replies = Pool.create 0 } in
     Mirust.Budget.follow (fun { total; _ } ->
         let share = total / 20 in
         Store.set_limit t.store (total / 5);
         Pool.resize t.requests share;
         Pool.resize t.replies share);
     t)

(* What each connection may use of both without asking. *)
let small = 4096

(* The most that a request may take. What has come behind it is held, too. *)
let max_request memory = Int.max small (Pool.size memory.requests - small)

(* The most memory that a connection takes before it has to reserve any, in bytes: the beginning of a request, in a
   buffer of twice the size, and replies being sent. An eighth of the memory is for that. *)
let places = lazy (Places.of_memory (fun { total; _ } -> max 16 (total / 8 / (4 * small))))

type t = {
  id : int;
  mutable name : string; (* that the client has given it *)
  place : Places.place;
  flow : TCP.flow;
  memory : memory;
  mutable requests : Resp.t;
  mutable reserved : int; (* of [memory.requests] *)
  replies : Reply.t;
  mutable large : int; (* of [memory.replies] *)
  mutable since : int; (* ns since boot, when the current request began; 0: there is none *)
  mutable wanted : string list; (* keys whose values are still to be sent *)
  mutable changed : bool; (* pending replies confirm changes of the store *)
  mutable transaction : Transaction.t option; (* the client has sent MULTI; memory is reserved *)
}

let so_far = ref 0

let create ~place flow =
  let memory = Lazy.force memory in
  incr so_far;
  {
    id = !so_far;
    name = "";
    place;
    flow;
    memory;
    requests = Resp.create ~most:(max_request memory) ();
    reserved = 0;
    replies = Reply.create ();
    large = 0;
    since = 0;
    wanted = [];
    changed = false;
    transaction = None;
  }

let end_transaction c =
  if Option.is_some c.transaction then (
    Pool.give c.memory.requests Transaction.most;
    c.transaction <- None)

let give_back c =
  end_transaction c;
  Pool.give c.memory.requests c.reserved;
  Pool.give c.memory.replies c.large;
  c.reserved <- 0;
  c.large <- 0

let reserve c price =
  price <= c.reserved
  || Pool.try_take c.memory.requests (price - c.reserved)
     &&
     (c.reserved <- price;
      true)

(* The words of a request stay in memory until it is answered: for many of them, memory is reserved. *)
let admitted c =
  let price = Resp.whole_cost c.requests in
  price <= small || reserve c price

(* What is to be reserved while more of a request is awaited. A buffer that is larger than what is in it is not worth a
   wait for memory. *)
let price c =
  let t = c.requests in
  let kept = Resp.kept t in
  if kept > small && kept > Resp.held t && not (reserve c kept) then Resp.fit t;
  let kept = Resp.kept t in
  if kept > small then kept else 0

(* {1 Room for replies} *)

(* How many bytes of replies are collected before they are sent: a few, or many if there is memory. *)
let enough = 65536
let room c = small + c.large - Reply.length c.replies

let widen c by =
  Pool.try_take c.memory.replies by
  &&
  (c.large <- c.large + by;
   true)

(* {1 Values} *)

(* The value of the key at [at] of these bytes, copied once, to where it is sent from; a large one only when there is
   memory for it: if not, false. *)
let rec value c bytes at length =
  let b = c.replies in
  let stop = Store.get c.memory.store bytes at length (Reply.buffer b) (Reply.stop b) in
  if stop >= 0 then (
    Reply.set_stop b stop;
    true)
  else
    let needed = -stop in
    if needed <= room c then (
      match Reply.reserve b needed with
      | () -> value c bytes at length
      | exception Out_of_memory ->
          Reply.failure b "OOM out of memory";
          true)
    else widen c (needed - room c) && value c bytes at length

let full = "OOM command not allowed when used memory > 'maxmemory'"

let refuse_change c =
  let why = Option.value (Store.failure c.memory.store) ~default:"" in
  Reply.failure c.replies ("MISCONF the disk has failed, and nothing is changed: " ^ why)

(* Sets the key at [key] of these bytes to the value at [value]. *)
let put c bytes key key_length value value_length =
  c.changed <- true;
  match Store.set c.memory.store bytes key key_length value value_length with
  | 0 -> Reply.ok c.replies
  | 1 -> Reply.failure c.replies full
  | _ -> refuse_change c
