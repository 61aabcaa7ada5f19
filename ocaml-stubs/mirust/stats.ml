(* [read f n] is the [n] 64-bit fields of the struct that [f] fills in. *)
let read f n =
  let b = Bytes.make (8 * n) '\000' in
  ignore (f b (8 * n) : int);
  fun i -> Int64.to_int (Bytes.get_int64_ne b (8 * i))

module Poll = struct
  type t = {
    polls : int;
    blocks : int;
    wakeups : int;
    events : int;
    tasks_run : int;
    timers_fired : int;
    completions : int;
  }

  let get () =
    let field = read Abi.poll_stats 7 in
    {
      polls = field 0;
      blocks = field 1;
      wakeups = field 2;
      events = field 3;
      tasks_run = field 4;
      timers_fired = field 5;
      completions = field 6;
    }

  let pp ppf t =
    Format.fprintf ppf
      "%d polls, %d blocks (%d woken early), %d events, %d task turns, %d timers, %d completions"
      t.polls t.blocks t.wakeups t.events t.tasks_run t.timers_fired t.completions
end

module Memory = struct
  type t = { total : int; free : int; heap : int; mapped : int }

  let get () =
    let field = read Abi.mem_stats 4 in
    { total = field 0; free = field 1; heap = field 2; mapped = field 3 }

  let pp ppf t =
    Format.fprintf ppf "%d KiB, %d KiB free, heap %d KiB, mapped %d KiB" (t.total / 1024)
      (t.free / 1024) (t.heap / 1024) (t.mapped / 1024)
end
