(* Every crossing a million times, and ten million round trips of futures and promises. *)

let () =
  let round_trips =
    Test_promise.case "ten_million_round_trips" (fun () ->
        Test_leaks.leaves_nothing "round trips" Test_promise.round_trips 10_000_000)
  in
  Alcotest.run "leaks"
    [ ("crossings", Test_leaks.suite ~times:1_000_000); ("round trips", [ round_trips ]) ]
