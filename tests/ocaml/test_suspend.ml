(* Hooks of both languages around a suspension. The hooks stay, so that all cases share them. *)

open Lwt.Infix
open Mirust

external listen : unit -> unit = "mirust_export_test_suspend_listen"
external seen : unit -> string = "mirust_export_test_suspend_seen"
external ask : unit -> string Lwt.t = "mirust_export_test_suspend_ask"

external tell : (int[@untagged]) -> bool -> unit Lwt.t
  = "mirust_native_only" "mirust_export_test_suspend_tell"

let case name f = Alcotest.test_case name `Quick f
let trace = ref []
let note fmt = Printf.ksprintf (fun s -> trace := s :: !trace) fmt

let taken () =
  let t = List.rev !trace in
  trace := [];
  t

let strings = Alcotest.(check (list string))

(* What the first hook answers. *)
let answer = ref (fun () -> Lwt.return_ok ())

let result promise =
  let v = ref None in
  Main.run
    ( promise >|= fun x ->
      Gc.compact ();
      v := Some x );
  Option.get !v

let registered =
  lazy
    (listen ();
     List.iter
       (fun name ->
         Suspend.on_suspend (fun () ->
             note "asked %s" name;
             Lwt.pause () >>= fun () ->
             Gc.compact ();
             if name = "first" then !answer () else Lwt.return_ok ());
         Suspend.on_resume (fun { away; cancelled } ->
             note "told %s %Ld %b" name away cancelled;
             Lwt.pause ()))
       [ "first"; "second" ])

let order () =
  Lazy.force registered;
  Alcotest.(check string) "nobody refuses" "" (result (ask ()));
  strings "the last one first" [ "asked second"; "asked first" ] (taken ());
  result (tell 3_000_000_000 false);
  strings "the first one first"
    [ "told first 3000000000 false"; "told second 3000000000 false" ]
    (taken ());
  Alcotest.(check string) "Rust's, too" "asked 3s " (seen ())

let refusals () =
  Lazy.force registered;
  List.iter
    (fun (f, why) ->
      answer := f;
      Alcotest.(check string) "why" why (result (ask ())))
    [
      ((fun () -> Lwt.return_error "in the middle of it"), "in the middle of it");
      ((fun () -> failwith "raised"), "Failure(\"raised\")");
      ((fun () -> Lwt.fail Not_found), "Not_found");
      ((fun () -> Lwt.return_error ""), "a hook refuses");
    ];
  (answer := fun () -> Lwt.return_ok ());
  Alcotest.(check string) "and then it may" "" (result (ask ()));
  result (tell 0 true);
  strings "told of it"
    [ "told first 0 true"; "told second 0 true" ]
    (List.filter (fun s -> String.starts_with ~prefix:"told" s) (taken ()));
  ignore (seen ())

let tests = [ case "the_order_of_hooks" order; case "a_refusal_and_an_exception_say_why" refusals ]
