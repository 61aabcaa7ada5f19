(* Rust borrows bytes where they are. *)

type bigstring = (char, Bigarray.int8_unsigned_elt, Bigarray.c_layout) Bigarray.Array1.t

external sum_string : string -> (int[@untagged]) = "mirust_native_only" "mirust_export_test_sum"
external sum_big : bigstring -> (int[@untagged]) = "mirust_native_only" "mirust_export_test_sum"
external sum_cstruct : Cstruct.t -> (int[@untagged]) = "mirust_native_only" "mirust_export_test_sum"
external sum_int : int -> (int[@untagged]) = "mirust_native_only" "mirust_export_test_sum"

external sum_floats :
  (float, Bigarray.float64_elt, Bigarray.c_layout) Bigarray.Array1.t -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_sum"

external fill_bytes : bytes -> (int[@untagged]) -> unit
  = "mirust_native_only" "mirust_export_test_fill"

external fill_cstruct : Cstruct.t -> (int[@untagged]) -> unit
  = "mirust_native_only" "mirust_export_test_fill"

external copy : Cstruct.t -> Cstruct.t -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_copy"

external same : Cstruct.t -> Cstruct.t -> bool = "mirust_export_test_equal"
external inside : Cstruct.t -> Cstruct.t = "mirust_export_test_buffer_inside"
external inside_string : string -> Cstruct.t = "mirust_export_test_buffer_inside"
external inside_bigarray : bigstring -> Cstruct.t = "mirust_export_test_buffer_inside"
external inside_int : int -> Cstruct.t = "mirust_export_test_buffer_inside"
external give : (int[@untagged]) -> Cstruct.t = "mirust_native_only" "mirust_export_test_give"
external literal : unit -> Cstruct.t = "mirust_export_test_literal"
external keep : Cstruct.t -> Cstruct.t = "mirust_export_test_keep"

external overwrite : Cstruct.t -> (int[@untagged]) -> bool
  = "mirust_native_only" "mirust_export_test_overwrite"

external later : Cstruct.t -> (Cstruct.t, string) result Lwt.t = "mirust_export_test_buffer_later"

let refused f =
  match Test_failures.silently f with
  | _ -> Alcotest.fail "no exception"
  | exception Mirust.Panic _ -> ()

let case name f = Alcotest.test_case name `Quick (fun () -> Test_abi.around f)

let tests =
  Alcotest.
    [
      case "string" (fun () ->
          check int "sum" 294 (sum_string "abc");
          check int "empty" 0 (sum_string ""));
      case "bigarray" (fun () ->
          let b = Bigarray.(Array1.create char c_layout 1000) in
          Bigarray.Array1.fill b '\002';
          check int "sum" 2000 (sum_big b);
          check int "part" 20 (sum_big (Bigarray.Array1.sub b 3 10)));
      case "cstruct" (fun () ->
          let c = Cstruct.of_string "xxabcxx" in
          check int "view" 294 (sum_cstruct (Cstruct.sub c 2 3));
          check int "empty" 0 (sum_cstruct (Cstruct.shift c 7)));
      case "written_in_place" (fun () ->
          let b = Bytes.make 10 'x' in
          fill_bytes b (Char.code 'y');
          check string "bytes" "yyyyyyyyyy" (Bytes.to_string b);
          let c = Cstruct.of_string "abcdef" in
          fill_cstruct (Cstruct.sub c 1 3) (Char.code '-');
          check string "within the view" "a---ef" (Cstruct.to_string c));
      case "two_views_of_one_buffer" (fun () ->
          let c = Cstruct.of_string "abcdef" in
          let left, right = Cstruct.split c 3 in
          check int "apart" 3 (copy left right);
          check string "copied" "abcabc" (Cstruct.to_string c);
          check bool "read twice" true (same c c));
      case "a_buffer_cannot_be_written_and_read_at_once" (fun () ->
          let c = Cstruct.of_string "abcdef" in
          refused (fun () -> copy c c);
          refused (fun () -> copy (Cstruct.sub c 0 4) (Cstruct.sub c 3 3)));
      case "buffers_are_copies_of_what_OCaml_can_write_to" (fun () ->
          let c = Cstruct.of_string "xabcdefx" in
          let middle = inside (inside c) in
          check string "a part" "bcde" (Cstruct.to_string middle);
          Cstruct.set_char c 2 '-';
          check string "of its own" "bcde" (Cstruct.to_string middle);
          check int "nothing" 0 (Cstruct.length (inside (Cstruct.of_string "xx")));
          refused (fun () -> inside Cstruct.empty);
          refused (fun () -> inside_string "a string would move");
          refused (fun () -> inside_bigarray Bigarray.(Array1.create char c_layout 3));
          refused (fun () -> inside_int 3));
      case "what_OCaml_gets_is_its_own_to_write" (fun () ->
          let c = Cstruct.of_string "kept" in
          let given = keep c in
          check bool "Rust's bytes do not change" false (overwrite given (Char.code '-'));
          ignore (keep c);
          check bool "nor by the argument" false (overwrite c (Char.code '-'));
          let c = literal () in
          Cstruct.set_char c 0 'A';
          check string "a copy of a literal" "A literal" (Cstruct.to_string c);
          check string "which stays" "a literal" (Cstruct.to_string (literal ())));
      case "a_vector_is_given_where_it_is" (fun () ->
          let c = give 10_000 in
          Cstruct.set_char c 9_999 'w';
          Gc.compact ();
          check char "written" 'w' (Cstruct.get_char c 9_999);
          check char "untouched" 'v' (Cstruct.get_char c 0));
      case "buffers_outlive_the_call" (fun () ->
          let promise = later (Cstruct.of_string (String.make 100_000 'a')) in
          Gc.compact ();
          let result = ref (Error "none") in
          Mirust.Main.run (Lwt.map (fun r -> result := r) promise);
          Gc.compact ();
          match !result with
          | Ok b -> check string "intact" (String.make 99_998 'a') (Cstruct.to_string b)
          | Error e -> fail e);
      case "what_is_no_buffer_is_refused" (fun () ->
          refused (fun () -> sum_int 3);
          refused (fun () -> sum_floats Bigarray.(Array1.create float64 c_layout 3)));
    ]
