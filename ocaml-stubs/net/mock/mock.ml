open Mirust_net_env

module Timers = Map.Make (struct
  type t = int * int

  let compare = compare
end)

type t = { mutable now : int; mutable count : int; mutable timers : unit Lwt.u Timers.t }

let now t = t.now

let sleep t ns =
  let promise, resolver = Lwt.wait () in
  t.count <- t.count + 1;
  t.timers <- Timers.add (t.now + max 0 ns, t.count) resolver t.timers;
  promise

let install ?(seed = 1) () =
  let t = { now = 0; count = 0; timers = Timers.empty } in
  let rng = Random.State.make [| seed |] in
  let random n = String.init n (fun _ -> Char.chr (Random.State.int rng 256)) in
  Env.install { now = (fun () -> t.now); sleep = sleep t; random };
  t

let settle _ =
  while Lwt.paused_count () > 0 do
    Lwt.wakeup_paused ()
  done

(* Runs the first timer that is due by [until]. *)
let step t until =
  match Timers.min_binding_opt t.timers with
  | Some (((at, _) as key), resolver) when at <= until ->
      t.timers <- Timers.remove key t.timers;
      t.now <- max t.now at;
      Lwt.wakeup resolver ();
      settle t;
      true
  | Some _ | None -> false

let run ?limit t promise =
  let limit = match limit with Some l -> l | None -> t.now + Env.sec 86_400 in
  let rec go () =
    match Lwt.state promise with
    | Lwt.Return v -> v
    | Lwt.Fail e -> raise e
    | Lwt.Sleep ->
        settle t;
        if Lwt.is_sleeping promise && not (step t limit) then
          failwith
            (if Timers.is_empty t.timers then "Mock.run: nothing left to wait for"
             else "Mock.run: time limit");
        go ()
  in
  go ()

let advance t ns =
  let until = t.now + ns in
  settle t;
  while step t until do
    ()
  done;
  t.now <- until
