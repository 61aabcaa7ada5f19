open Lwt.Infix

type resumed = { away : int64; cancelled : bool }

(* Rust awaits the first before the domain is frozen, whose result is a reason to refuse or an empty string, and the
   second when the domain resumes (ffi/src/suspend.rs). *)
external listen : (unit -> string Lwt.t) -> (int -> bool -> unit Lwt.t) -> unit
  = "mirust_ocaml_suspend_listen"

let suspend_hooks = ref []
let resume_hooks = ref []

(* The last one registered runs first, and is first in the list. *)
let rec ask = function
  | [] -> Lwt.return ""
  | hook :: rest -> (
      Lwt.catch hook (fun e -> Lwt.return_error (Printexc.to_string e)) >>= function
      | Ok () -> ask rest
      | Error "" -> Lwt.return "a hook refuses"
      | Error why -> Lwt.return why)

let tell resumed =
  Lwt_list.iter_s
    (fun hook ->
      Lwt.catch
        (fun () -> hook resumed)
        (fun e ->
          Logs.err (fun m -> m "in a hook after the suspension: %s" (Printexc.to_string e));
          Lwt.return_unit))
    (List.rev !resume_hooks)

let listening =
  lazy
    (listen
       (fun () -> ask !suspend_hooks)
       (fun away cancelled -> tell { away = Int64.of_int away; cancelled }))

let on_suspend f =
  Lazy.force listening;
  suspend_hooks := f :: !suspend_hooks

let on_resume f =
  Lazy.force listening;
  resume_hooks := f :: !resume_hooks
