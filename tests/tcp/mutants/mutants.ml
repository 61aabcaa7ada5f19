(* Mutation testing: small changes to the engine, one at a time, each of which has to make one of its
   tests fail. What passes them all is printed: a test is missing, or the change makes no difference and
   `equivalent.txt` says why.

   mutants.exe [N] [SEED]   N mutants (default 100), chosen by SEED (default 1)
   mutants.exe all          all of them (hours)
   mutants.exe match TEXT.. those whose name has one of the TEXTs in it
   mutants.exe list         names only

   Run from the root of the tree. *)

let sources = "ocaml-stubs/net/tcp"
let read f = In_channel.with_open_bin f In_channel.input_all
let write f s = Out_channel.with_open_bin f (fun oc -> output_string oc s)
let run fmt = Printf.ksprintf Sys.command fmt

let must fmt =
  Printf.ksprintf
    (fun command -> if Sys.command command <> 0 then failwith ("failed: " ^ command))
    fmt

let files () =
  Sys.readdir sources |> Array.to_list
  |> List.filter (fun f -> Filename.check_suffix f ".ml")
  |> List.sort String.compare

let contains part s =
  let n = String.length part in
  let rec at i = i + n <= String.length s && (String.sub s i n = part || at (i + 1)) in
  at 0

(* ---- The tests ---- *)

(* From the quickest; each with what it is given. *)
let tests =
  [
    ("scripts_test", "");
    ("states_test", "");
    ("units_test", "");
    ("tables_test", "");
    ("congestion_test", "");
    ("queues_test", "");
    ("opening_test", "");
    ("deadlines_test", "");
    ("wheel_test", "");
    ("turns_test", "");
    ("time_wait_test", "");
    ("hosts_test", "");
    ("fuzz_engine", "1 300");
    ("link_test", "1 60");
    ("places_test", "");
    ("hoards_test", "");
    ("flood_test", "");
    ("fuzz_engine", "301 3000");
  ]

(* ---- A copy of the engine and of its tests ---- *)

let dune =
  let names = List.sort_uniq String.compare (List.map fst tests) |> String.concat " " in
  Printf.sprintf
    {|(library (name mirust_tcp_script) (modules script) (wrapped false) (libraries mirust_tcp))
(executables
 (names %s)
 (modules invariants life shortage visitors %s)
 (libraries mirust_tcp_script mirust_tcp mirust_wire alcotest))
|}
    names names

let prepare work =
  must "rm -rf %s && mkdir -p %s/net %s/tests %s/docs" work work work work;
  write (work ^ "/dune-project") "(lang dune 3.17)\n(package (name mirust))\n";
  must "cp -r ocaml-stubs/net/wire ocaml-stubs/net/tcp %s/net/" work;
  must "cp docs/tcp.md %s/docs/" work;
  must "cp -r tests/tcp/*.ml tests/tcp/*.mli tests/tcp/scripts %s/tests/" work;
  must "cd %s/tests && rm -f bench.ml flow_test.ml cost_test.ml && mkdir -p x/y" work;
  write (work ^ "/tests/dune") dune

(* One test at a time: linking is what takes time, and the first catches most. *)
let build work name =
  run "cd %s && timeout 600 dune build --root . --display quiet ./tests/%s.exe 2>%s/log" work name
    work
  = 0

(* A mutant that never ends runs out of processor time. They run where the copies of scripts and docs are:
   `states_test` looks for ../../docs. *)
let passes work (name, args) =
  let where = if name = "states_test" then "tests/x" else "tests" in
  run "cd %s/%s && ulimit -t 15 && %s/_build/default/tests/%s.exe %s >/dev/null 2>&1" work where
    work name args
  = 0

type outcome = Caught of string | Survived | Not_a_program

let rec through work = function
  | [] -> Survived
  | (name, args) :: rest ->
      if not (build work name) then Not_a_program
      else if passes work (name, args) then through work rest
      else Caught name

let judge work site =
  let path = Printf.sprintf "%s/net/tcp/%s" work site.Site.file in
  let text = read path in
  write path (Site.apply site text);
  let outcome = through work tests in
  write path text;
  outcome

(* ---- Which ---- *)

let sites () =
  List.concat_map
    (fun file ->
      let path = Filename.concat sources file in
      Site.all ~file (read path))
    (files ())

(* In an order that depends on the seed and on each one's own name, so that an edit elsewhere leaves the
   choice as it was. *)
let shuffle seed list =
  let key s = Digest.string (string_of_int seed ^ Site.name s) in
  List.map (fun s -> (key s, s)) list
  |> List.stable_sort (fun (a, _) (b, _) -> String.compare a b)
  |> List.map snd

(* These are always among them. *)
let always =
  [
    "input.ml:c.state <- Closing->enter_time_wait env c#1:";
    "input.ml:c.state <- Fin_wait_2->enter_time_wait env c#1:";
    "input.ml:enter_time_wait env c->finish env c `Closed#1:";
  ]

let is_always s = List.exists (fun a -> String.starts_with ~prefix:a (Site.name s)) always

let choose n seed all =
  let first, others = List.partition is_always all in
  if List.length first < List.length always then failwith "a mutant that is always tried is gone";
  first @ List.filteri (fun i _ -> i < n - List.length first) (shuffle seed others)

(* Of mutants, or a seed. *)
let number text =
  match int_of_string_opt text with
  | Some n when n >= 0 -> n
  | Some _ | None ->
      prerr_endline (text ^ " is no number");
      exit 64

let () =
  let all = sites () in
  let chosen =
    match List.tl (Array.to_list Sys.argv) with
    | [ "list" ] ->
        List.iter (fun s -> print_endline (Site.name s)) all;
        exit 0
    | [ "all" ] -> all
    | "match" :: (_ :: _ as parts) ->
        List.filter (fun s -> List.exists (fun part -> contains part (Site.name s)) parts) all
    | [] -> choose 100 1 all
    | [ n ] -> choose (number n) 1 all
    | [ n; seed ] -> choose (number n) (number seed) all
    | _ ->
        prerr_endline "mutants.exe [N] [SEED] | all | match TEXT.. | list";
        exit 64
  in
  let work = Filename.temp_dir "mirust-mutants" "" in
  at_exit (fun () -> ignore (run "rm -rf %s" work : int));
  prepare work;
  (match through work tests with
  | Survived -> ()
  | Caught name -> failwith (name ^ " fails without any change")
  | Not_a_program -> failwith ("the engine itself does not build: " ^ read (work ^ "/log")));
  let known = Equivalent.parse (read "tests/tcp/mutants/equivalent.txt") in
  let caught = ref 0 and explained = ref 0 and none = ref 0 and survivors = ref [] in
  List.iteri
    (fun i s ->
      let name = Site.name s in
      let report what =
        Printf.printf "%3d/%d %s:%d %s: %s\n%!" (i + 1) (List.length chosen) s.file s.line what name
      in
      if List.exists (fun (e : Equivalent.t) -> e.name = name) known then incr explained
      else
        match judge work s with
        | Caught test ->
            incr caught;
            report ("caught by " ^ test)
        | Not_a_program -> incr none
        | Survived ->
            survivors := s :: !survivors;
            report "SURVIVED")
    chosen;
  Printf.printf "%d mutants: %d caught, %d explained, %d are no programs, %d survived\n"
    (List.length chosen) !caught !explained !none (List.length !survivors);
  List.iter (fun s -> Printf.printf "%s\n" (Site.name s)) (List.rev !survivors);
  if !survivors <> [] then exit 1
