type token = int

(* A token is a slot's index and the slot's generation: a token that comes back after its slot was reused has the wrong
   generation. 2^38 generations of one slot outlast the domain. *)
type slot = { mutable generation : int; mutable wake : unit -> unit; mutable next_free : int }

let index_bits = Header.token_index_bits
let index token = token land ((1 lsl index_bits) - 1)
let generation token = token lsr index_bits
let none = -1
let slots = ref [||]
let first_free = ref none
let waiting = ref 0
let idle () = ()

let grow () =
  let old = Array.length !slots in
  let size = max 16 (2 * old) in
  if size > 1 lsl index_bits then failwith "Mirust.Completion: too many requests in flight";
  slots :=
    Array.init size (fun i ->
        if i < old then !slots.(i)
        else
          { generation = 0; wake = idle; next_free = (if i = size - 1 then !first_free else i + 1) });
  first_free := old

let register wake =
  if !first_free = none then grow ();
  let i = !first_free in
  let slot = !slots.(i) in
  first_free := slot.next_free;
  slot.wake <- wake;
  incr waiting;
  (slot.generation lsl index_bits) lor i

(* The slot's action, if the token is still the slot's current one; frees the slot. *)
let take token =
  let i = index token in
  if token < 0 || i >= Array.length !slots then None
  else
    let slot = !slots.(i) in
    if slot.generation <> generation token || slot.wake == idle then None
    else
      let wake = slot.wake in
      slot.wake <- idle;
      slot.generation <- slot.generation + 1;
      slot.next_free <- !first_free;
      first_free := i;
      decr waiting;
      Some wake

let forget token = ignore (take token)

let complete token =
  match take token with
  | None -> ()
  | Some wake -> (
      (* The loop says what it means that there was no memory: not the end of the program. *)
      try wake () with
      | Out_of_memory as exn -> raise exn
      | exn -> !Lwt.async_exception_hook exn)

let create () =
  let promise, resolver = Lwt.task () in
  let token = register (fun () -> Lwt.wakeup_later resolver ()) in
  Lwt.on_cancel promise (fun () -> forget token);
  (token, promise)

let pending () = !waiting
