(* Failures cross in both directions, and the ten thousandth works like the first. *)

external panic : string -> (int[@untagged]) = "mirust_native_only" "mirust_export_test_panic"
external panic_any : unit -> unit = "mirust_export_test_panic_any"

external catch : (int -> int) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_catch"

external exception_text : (unit -> unit) -> string = "mirust_export_test_exception"
external runtime_is_exclusive : unit -> bool = "mirust_export_test_runtime_is_exclusive"

external constructor_address : string -> (int[@untagged])
  = "mirust_native_only" "mirust_export_test_constructor_address"

let times () = Often.times 10_000

exception Custom of { code : int }

let silently f =
  (* A panic prints a line; ten thousand are too many. *)
  Mirust.Log.set_level None;
  Fun.protect f ~finally:(fun () -> Mirust.Log.set_level (Some Logs.Info))

let panics () =
  silently @@ fun () ->
  for i = 1 to times () do
    let message = Printf.sprintf "panic %d" i in
    (match panic message with
    | _ -> Alcotest.fail "no exception"
    | exception Mirust.Panic m -> if m <> message then Alcotest.failf "%S, not %S" m message);
    Gc.compact ()
  done

let exceptions () =
  for i = 1 to times () do
    let raises n = if n = i then raise (Custom { code = n }) else n in
    if catch raises i <> -1 then Alcotest.fail "no error";
    if catch raises (i + 1) <> i + 1 then Alcotest.fail "no result";
    Gc.compact ()
  done

(* OCaml calls Rust calls OCaml ..., and the innermost exception comes out as a panic of each level's own
   choice. *)
let nested () =
  let rec descend n = if n = 0 then panic "at the bottom" else catch descend (n - 1) in
  Alcotest.(check int) "caught above the bottom" (-1) (silently (fun () -> descend 20));
  let rec pass n = if n = 0 then 7 else catch pass (n - 1) in
  Alcotest.(check int) "passed through" 7 (pass 200)

(* Why Rust looks the exception up each time: the constructor moves, and a copy of its address, which is
   what ocaml-interop 0.12 keeps of "rust_panic_exn", would dangle. *)
let constructors_move () =
  let module M = struct
    exception E
  end in
  Callback.register_exception "test_constructor" M.E;
  let before = constructor_address "test_constructor" in
  Gc.full_major ();
  let after = constructor_address "test_constructor" in
  Alcotest.(check bool) "known" true (before <> 0 && after <> 0);
  Alcotest.(check bool) "moved" true (before <> after);
  Alcotest.(check int) "rust_panic_exn is not registered" 0 (constructor_address "rust_panic_exn")

let case name f = Alcotest.test_case name `Quick f

let tests =
  [
    case "ten_thousand_panics_with_compaction" panics;
    case "ten_thousand_exceptions_with_compaction" exceptions;
    case "through_many_frames" nested;
    case "a_payload_whose_destructor_panics" (fun () ->
        silently @@ fun () ->
        match panic_any () with
        | () -> Alcotest.fail "no exception"
        | exception Mirust.Panic m ->
            Alcotest.(check string) "message" "a panic without a message" m);
    case "exceptions_print_as_in_ocaml" (fun () ->
        Alcotest.(check string)
          "failure" "Failure(\"reason\")"
          (exception_text (fun () -> failwith "reason"));
        Alcotest.(check string) "none" "none" (exception_text ignore));
    case "one_runtime_at_a_time" (fun () ->
        Alcotest.(check bool) "in use" true (runtime_is_exclusive ()));
    case "an_exception_constructor_moves" constructors_move;
  ]
