module Poll = struct
  type t = Header.Poll_stats.t = {
    polls : int;
    blocks : int;
    wakeups : int;
    events : int;
    tasks_run : int;
    timers_fired : int;
    completions : int;
  }

  let get () = Header.Poll_stats.get Abi.poll_stats

  let pp ppf t =
    Format.fprintf ppf
      "%d polls, %d blocks (%d woken early), %d events, %d task turns, %d timers, %d completions"
      t.polls t.blocks t.wakeups t.events t.tasks_run t.timers_fired t.completions
end

module Memory = struct
  type t = Header.Mem_stats.t = { total : int; free : int; heap : int; mapped : int }

  let get () = Header.Mem_stats.get Abi.mem_stats

  let pp ppf t =
    Format.fprintf ppf "%d KiB, %d KiB free, heap %d KiB, mapped %d KiB" (t.total / 1024)
      (t.free / 1024) (t.heap / 1024) (t.mapped / 1024)
end
