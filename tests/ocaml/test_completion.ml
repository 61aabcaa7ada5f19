module C = Mirust.Completion

let counted () =
  let n = ref 0 in
  (n, C.register (fun () -> incr n))

let once () =
  let n, token = counted () in
  C.complete token;
  C.complete token;
  Alcotest.(check int) "runs" 1 !n

let stale () =
  let n, token = counted () in
  C.forget token;
  let m, other = counted () in
  Alcotest.(check bool) "another name for the same slot" true (token <> other);
  C.complete token;
  Alcotest.(check int) "forgotten" 0 !n;
  Alcotest.(check int) "not mistaken" 0 !m;
  C.complete other;
  Alcotest.(check int) "completed" 1 !m

let many () =
  let before = C.pending () in
  let all = List.init 1000 (fun _ -> counted ()) in
  Alcotest.(check int) "waiting" (before + 1000) (C.pending ());
  List.iter (fun (_, token) -> C.complete token) (List.rev all);
  Alcotest.(check bool) "each once" true (List.for_all (fun (n, _) -> !n = 1) all);
  Alcotest.(check int) "none left" before (C.pending ())

let cancelled () =
  let before = C.pending () in
  let token, promise = C.create () in
  Lwt.cancel promise;
  Alcotest.(check int) "forgotten" before (C.pending ());
  C.complete token

let nonsense () = List.iter C.complete [ -1; max_int; min_int; 1 lsl 23 ]
let case name f = Alcotest.test_case name `Quick f

let tests =
  [
    case "completes_once" once;
    case "a_stale_token_means_nothing" stale;
    case "many_at_a_time" many;
    case "a_cancelled_promise_forgets_its_token" cancelled;
    case "unknown_tokens_are_ignored" nonsense;
  ]
