(* Runs every case of scripts/*.tcp. *)

let files () =
  Sys.readdir "scripts" |> Array.to_list
  |> List.filter (fun f -> Filename.check_suffix f ".tcp")
  |> List.sort compare

let () =
  let suite file =
    let cases = Script.parse ~file:(Filename.concat "scripts" file) in
    ( Filename.chop_suffix file ".tcp",
      List.map
        (fun c ->
          Alcotest.test_case (Script.name c) `Quick (fun () ->
              try Script.run c with Failure m -> Alcotest.fail m))
        cases )
  in
  Alcotest.run "scripts" (List.map suite (files ()))
