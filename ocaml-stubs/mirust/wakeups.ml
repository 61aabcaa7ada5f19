let work () =
  let promise, resolver = Lwt.wait () in
  let woken = ref false in
  Lwt.on_success promise (fun () -> woken := true);
  Lwt.wakeup_later resolver ();
  !woken

(* Lwt goes no deeper than some forty levels, and each time that memory runs out can leave all of them behind. *)
let most = 10_000

let repair () =
  let rec leave n =
    if n > 0 && not (work ()) then (
      Lwt.abandon_wakeups ();
      leave (n - 1))
  in
  leave most
