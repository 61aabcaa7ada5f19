let run () =
  Alcotest.run "mirust"
    [
      (* First, as it watches how hard the collector works: after thousands of collections by request, as
         there are below, it rests. *)
      ("service", Test_service.tests);
      ("abi", Test_abi.tests);
      ("values", Test_values.tests);
      ("failures", Test_failures.tests);
      ("bytes", Test_bytes.tests);
      ("sleepers", Test_sleepers.tests);
      (* Before the places, which say how much memory is to be divided: from then on that stays. *)
      ("resize", Test_resize.tests);
      ("places", Test_places.tests);
      ("completion", Test_completion.tests);
      ("loop", Test_loop.tests);
      ("promise", Test_promise.tests);
      ("stream", Test_stream.tests);
      ("suspend", Test_suspend.tests);
      ("leaks", Test_leaks.tests);
      ("net", Test_net.tests);
      ("bootvar", Test_bootvar.tests);
      ("signatures", Test_signatures.tests);
    ]
