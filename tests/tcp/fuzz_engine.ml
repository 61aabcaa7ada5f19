(* The life of an engine ({!Life}), by seeds.

   fuzz_engine.exe SEED        replays one, and prints its steps
   fuzz_engine.exe FIRST LAST  runs a range of them *)

let run ?verbose seed =
  let rng = Random.State.make [| seed |] in
  Life.run ?verbose ~steps:300 (Random.State.int rng)

let range first last =
  let failed = ref 0 in
  for seed = first to last do
    try run seed
    with e ->
      incr failed;
      Printf.printf "seed %d: %s\n%!" seed
        (match e with Failure m -> m | e -> Printexc.to_string e)
  done;
  Printf.printf "%d seeds, %d failed\n" (last - first + 1) !failed;
  if !failed > 0 then exit 1

let () =
  match Array.to_list Sys.argv with
  | [ _; seed ] -> run ~verbose:true (int_of_string seed)
  | [ _; first; last ] -> range (int_of_string first) (int_of_string last)
  | _ -> range 1 1000
