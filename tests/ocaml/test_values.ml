(* Every type that can cross, in both directions. *)

external isize : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_isize"

external i64 : (int64[@unboxed]) -> (int64[@unboxed])
  = "mirust_native_only" "mirust_export_test_i64"

external i32 : (int32[@unboxed]) -> (int32[@unboxed])
  = "mirust_native_only" "mirust_export_test_i32"

external f64 : (float[@unboxed]) -> (float[@unboxed])
  = "mirust_native_only" "mirust_export_test_f64"

external not_ : bool -> bool = "mirust_export_test_bool"
external unit_ : unit -> unit = "mirust_export_test_unit"

external noalloc : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_noalloc"
[@@noalloc]

external renamed :
  (int[@untagged]) ->
  (int[@untagged]) ->
  (int[@untagged]) ->
  (int[@untagged]) ->
  (int[@untagged]) ->
  (int[@untagged]) ->
  (int[@untagged]) = "mirust_native_only" "mirust_export_test_renamed"

external length : string -> (int[@untagged]) = "mirust_native_only" "mirust_export_test_str"
external upper : string -> string = "mirust_export_test_string"
external vec : bytes -> bytes = "mirust_export_test_vec"

external list_sum : int list -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_list_sum"

external rooted : (unit -> unit) -> string -> string = "mirust_export_test_rooted"

external beside : string -> (int[@untagged]) -> string * string
  = "mirust_native_only" "mirust_export_test_beside"

external many : string -> (int[@untagged]) -> (string * string option) list
  = "mirust_native_only" "mirust_export_test_many"

external call : (string -> int -> bool -> string) -> string -> string = "mirust_export_test_call"

external pass_numbers :
  (float -> int32 -> int64 -> float) -> (int -> int -> int) -> (float[@unboxed])
  = "mirust_native_only" "mirust_export_test_pass_numbers"

external pass_parts :
  ((float * string option) list ->
  (int64, string) result list ->
  int * bool * string * bytes ->
  string) ->
  (int[@untagged]) ->
  string = "mirust_native_only" "mirust_export_test_pass_parts"

external made : (unit -> unit) -> (int[@untagged]) = "mirust_native_only" "mirust_export_test_made"

let case name f = Alcotest.test_case name `Quick (fun () -> Test_abi.around f)

let tests =
  Alcotest.
    [
      case "isize" (fun () ->
          check int "successor" 42 (isize 41);
          (* Rust's has a bit more than OCaml's. *)
          check int "wraps" min_int (isize max_int));
      case "i64" (fun () -> check int64 "negated" (-5L) (i64 5L));
      case "i32" (fun () -> check int32 "doubled" (-10l) (i32 (-5l)));
      case "f64" (fun () -> check (float 0.) "halved" 0.25 (f64 0.5));
      case "bool" (fun () ->
          check bool "not" false (not_ true);
          check bool "not" true (not_ false));
      case "unit" (fun () -> check unit "unit" () (unit_ ()));
      case "noalloc" (fun () -> check int "successor" (-41) (noalloc (-42)));
      case "six_arguments_under_another_name" (fun () ->
          check int "weighted" 91 (renamed 1 2 3 4 5 6));
      case "borrowed_string" (fun () -> check int "characters" 4 (length "aße!"));
      case "owned_string" (fun () -> check string "upper" "HELLO" (upper "hello"));
      case "a_string_that_is_not_utf8" (fun () ->
          match upper "\xff" with
          | _ -> fail "no exception"
          | exception Mirust.Panic m ->
              check bool "says so" true (String.starts_with ~prefix:"a string argument" m));
      case "owned_bytes" (fun () ->
          check bytes "reversed" (Bytes.of_string "cba") (vec (Bytes.of_string "abc")));
      case "list" (fun () -> check int "sum" 5050 (list_sum (List.init 101 Fun.id)));
      case "a_root_survives_compaction" (fun () ->
          let s = String.concat "" [ "he"; "re" ] in
          check string "same" "here, still" (rooted Gc.compact s));
      case "closure_of_three" (fun () ->
          let f s n b =
            Gc.compact ();
            Printf.sprintf "%s %d %b" s n b
          in
          check string "result" "x 42 true" (call f "x"));
      case "closure_that_raises" (fun () ->
          check string "text" "exception: Not_found" (call (fun _ _ _ -> raise Not_found) "x"));
      case "closures_of_numbers" (fun () ->
          let f x n m =
            Gc.compact ();
            check int32 "int32" Int32.min_int n;
            check int64 "int64" Int64.max_int m;
            x +. 1.
          in
          check (float 0.) "all" (-9.5) (pass_numbers f ( - )));
      case "closures_of_what_has_parts" (fun () ->
          let f pairs outcomes four =
            let pair i (x, s) =
              x = Float.of_int i /. 2. && s = if i mod 2 = 0 then Some (string_of_int i) else None
            in
            check bool "pairs" true (List.for_all Fun.id (List.mapi pair pairs));
            check bool "outcomes" true (outcomes = [ Ok Int64.min_int; Error "error" ]);
            check bool "four" true (four = (-1, true, "text", Bytes.of_string "\000\255"));
            string_of_int (List.length pairs)
          in
          check string "none" "0" (pass_parts f 0);
          (* Each is made across several collections. *)
          for _ = 1 to 20 do
            check string "all" "50000" (pass_parts f 50_000)
          done);
      case "what_rust_makes_and_keeps" (fun () -> check int "sum" 42 (made Gc.compact));
      case "what_is_not_rooted_beside_what_is_allocated" (fun () ->
          for i = 1 to 20_000 do
            (* Young, so that a minor collection moves it. *)
            let value = String.make 24 (Char.chr (65 + (i mod 26))) in
            let bytes, same = beside value 1_900 in
            if same <> value || String.length bytes <> 1_900 then failf "round %d: %S" i same
          done;
          for i = 1 to 500 do
            let value = String.make 24 (Char.chr (65 + (i mod 26))) in
            let all = many value 1_000 in
            if not (List.for_all (fun (same, _) -> same = value) all) then failf "list %d" i
          done);
    ]
