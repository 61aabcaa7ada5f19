(* Of integers, and so without a call. *)
let min = Int.min
let max = Int.max
let tick_bits = 20
let slot_bits = 5
let slots = 1 lsl slot_bits
let levels = 5
let horizon = (1 lsl (slot_bits * levels)) - 1

(* Timers of a slot form a ring through a sentinel, which carries no value: so that links need no
   option, a timer's value is the only thing that is wrapped. *)
type 'a timer = {
  value : 'a option;
  mutable due : int;
  mutable tick : int;
  mutable where : int; (* index of its slot in [heads]; -1: not pending *)
  mutable prev : 'a timer;
  mutable next : 'a timer;
}

type 'a t = {
  mutable now_tick : int; (* the last tick whose timers have fired *)
  heads : 'a timer array; (* [levels * slots] sentinels *)
  occupied : int array; (* of a level; bit [s] is set when its slot [s] holds a timer *)
  mutable length : int;
  mutable first : int;
      (* the tick at which the next of all occupied slots begins; -1: to be looked for *)
}

let sentinel () =
  let rec head = { value = None; due = 0; tick = 0; where = -1; prev = head; next = head } in
  head

let create ~now =
  {
    now_tick = now asr tick_bits;
    heads = Array.init (levels * slots) (fun _ -> sentinel ());
    occupied = Array.make levels 0;
    length = 0;
    first = -1;
  }

(* As it is in no slot yet its links may be any. *)
let timer t v =
  let any = t.heads.(0) in
  { value = Some v; due = 0; tick = 0; where = -1; prev = any; next = any }

let pending timer = timer.where >= 0
let due timer = timer.due
let length t = t.length

(* Its own links stay as they were, for the next slot's to replace them. *)
let take_out t timer =
  t.first <- -1;
  timer.prev.next <- timer.next;
  timer.next.prev <- timer.prev;
  let where = timer.where in
  timer.where <- -1;
  let head = t.heads.(where) in
  if head.next == head then
    let level = where / slots in
    t.occupied.(level) <- t.occupied.(level) land lnot (1 lsl (where mod slots))

(* For good: it keeps none of its neighbours alive. *)
let unlink t timer =
  take_out t timer;
  timer.prev <- timer;
  timer.next <- timer

(* Without a loop, in which OCaml looks for signals, and may find that memory is short: a timer that is between two
   slots must not be lost. *)
let level_of delta =
  if delta < 1 lsl slot_bits then 0
  else if delta < 1 lsl (2 * slot_bits) then 1
  else if delta < 1 lsl (3 * slot_bits) then 2
  else if delta < 1 lsl (4 * slot_bits) then 3
  else 4

let link t timer =
  t.first <- -1;
  (* Distances on a level run from 1 to [slots]. *)
  let level = level_of (timer.tick - t.now_tick - 1) in
  let slot = (timer.tick lsr (slot_bits * level)) land (slots - 1) in
  let where = (level * slots) + slot in
  let head = t.heads.(where) in
  timer.where <- where;
  timer.prev <- head.prev;
  timer.next <- head;
  head.prev.next <- timer;
  head.prev <- timer;
  t.occupied.(level) <- t.occupied.(level) lor (1 lsl slot)

let remove t timer =
  if pending timer then (
    unlink t timer;
    t.length <- t.length - 1)

let add t timer due =
  if pending timer then take_out t timer else t.length <- t.length + 1;
  timer.due <- due;
  (* Rounded up, so that it does not fire early. *)
  let tick = ((due - 1) asr tick_bits) + 1 in
  timer.tick <- max (t.now_tick + 1) (min tick (t.now_tick + horizon));
  link t timer

(* The index of the lowest bit set in a 32-bit word, by a de Bruijn multiplication. *)
let lowest_bit =
  let hash word = (word * 0x077cb531 land 0xffffffff) lsr 27 in
  let table = Bytes.create 32 in
  for i = 0 to 31 do
    Bytes.set_uint8 table (hash (1 lsl i)) i
  done;
  fun word -> Bytes.get_uint8 table (hash (word land -word))

(* The tick at which the next occupied slot of [level] begins. The slot of [now_tick] itself is
   empty on every level, so what is found at its index is a full turn ahead. *)
let next_tick t level =
  let word = t.occupied.(level) in
  if word = 0 then max_int
  else
    let shift = slot_bits * level in
    let first = (t.now_tick lsr shift) + 1 in
    let turn = first land (slots - 1) in
    let rotated = (word lsr turn) lor (word lsl (slots - turn)) land 0xffffffff in
    (first + lowest_bit rotated) lsl shift

(* The tick at which the next of all occupied slots begins. *)
let first_tick t =
  let first = ref max_int in
  for level = 0 to levels - 1 do
    first := min !first (next_tick t level)
  done;
  !first

(* The highest level that has a slot which begins at that tick: its timers may be due in the same tick,
   and must come down before that tick fires. *)
let level_at t tick =
  let rec down level = if next_tick t level = tick then level else down (level - 1) in
  down (levels - 1)

(* Asked for each turn, in most of which no timer is moved. *)
let next t =
  if t.length = 0 then max_int
  else (
    if t.first < 0 then t.first <- first_tick t;
    t.first lsl tick_bits)

let rec cascade t head =
  let timer = head.next in
  if timer != head then (
    take_out t timer;
    link t timer;
    cascade t head)

(* What [f] adds goes to a later tick. If that is a full turn later, it goes to the end of this very
   slot, and has to stay there. *)
let rec fire t head f =
  let timer = head.next in
  if timer != head && timer.tick <= t.now_tick then (
    unlink t timer;
    t.length <- t.length - 1;
    Option.iter f timer.value;
    fire t head f)

let rec advance_to t target f =
  let tick = if t.length = 0 then max_int else first_tick t in
  if tick <= target then (
    let level = level_at t tick in
    let head = t.heads.((level * slots) + ((tick lsr (slot_bits * level)) land (slots - 1))) in
    if level > 0 then (
      t.now_tick <- tick - 1;
      cascade t head)
    else (
      t.now_tick <- tick;
      try fire t head f
      with e ->
        (* The rest of the slot is for the next time, and not for when the lowest level has gone round. *)
        t.now_tick <- tick - 1;
        t.first <- -1;
        raise e);
    advance_to t target f)
  else (
    t.first <- -1;
    t.now_tick <- max t.now_tick target)

let advance t ~now f = advance_to t (now asr tick_bits) f
