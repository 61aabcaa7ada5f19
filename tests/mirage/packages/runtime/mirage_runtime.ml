open Cmdliner

let terms : unit Term.t list ref = ref []

let register_arg term =
  let value = ref None in
  terms := Term.(const (fun v -> value := Some v) $ term) :: !terms;
  fun () -> match !value with Some v -> v | None -> invalid_arg "register_arg: too early"

let runtime_args () = !terms

let with_argv terms name argv =
  let both term rest = Term.(const (fun () () -> ()) $ term $ rest) in
  let all = List.fold_right both terms (Term.const ()) in
  match Cmd.eval_value ~argv (Cmd.v (Cmd.info name) all) with
  | Ok (`Ok ()) -> ()
  | Ok (`Help | `Version) -> exit 63
  | Error _ -> exit 64

let name () = "probe"
let hooks () = ref []
let exits : (unit -> unit Lwt.t) list ref = hooks ()
let enters : (unit -> unit) list ref = hooks ()
let leaves : (unit -> unit) list ref = hooks ()
let at_exit f = exits := f :: !exits
let at_enter_iter f = enters := f :: !enters
let at_leave_iter f = leaves := f :: !leaves
let run_exit_hooks () = Lwt_list.iter_s (fun f -> f ()) !exits
let run_enter_iter_hooks () = List.iter (fun f -> f ()) !enters
let run_leave_iter_hooks () = List.iter (fun f -> f ()) !leaves
