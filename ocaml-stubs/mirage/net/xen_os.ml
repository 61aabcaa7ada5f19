let () =
  let open Mirust.Main in
  at_enter_iter Mirage_runtime.run_enter_iter_hooks;
  at_enter_iter Mirust.Log.follow;
  at_leave_iter Mirage_runtime.run_leave_iter_hooks;
  at_exit Mirage_runtime.run_exit_hooks;
  (* As mirage-xen has it: also where the program calls [exit]. *)
  Stdlib.at_exit run_exit_hooks

module Main = struct
  let run = Mirust.Main.run
end

module Lifecycle = struct
  let await_shutdown_request ?(can_poweroff = true) ?(can_reboot = false) () =
    let open Lwt.Infix in
    Mirust.Main.shutdown_requested () >>= function
    | (`Poweroff | `Halt) when can_poweroff -> Lwt.return `Poweroff
    | `Reboot when can_reboot -> Lwt.return `Reboot
    | `Poweroff | `Halt | `Reboot -> fst (Lwt.task ())
end

module Sched = struct
  let add_resume_hook f =
    Mirust.Suspend.on_resume (fun { cancelled; _ } -> if cancelled then Lwt.return_unit else f ())
end

module Memory = struct
  type stat = { heap_words : int; live_words : int; stack_words : int; free_words : int }

  let stat () =
    let m = Mirust.Stats.Memory.get () in
    let words bytes = bytes / (Sys.word_size / 8) in
    {
      heap_words = words m.total;
      live_words = words (m.heap + m.mapped);
      stack_words = 0;
      free_words = words m.free;
    }

  let quick_stat = stat
  let trim () = ()
end
