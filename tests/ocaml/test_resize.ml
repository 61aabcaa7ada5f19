(* Who hears that the memory's size has changed. The listeners stay, so that all cases share them. *)

open Mirust

external tell : (int[@untagged]) -> (int[@untagged]) -> unit Lwt.t
  = "mirust_native_only" "mirust_export_test_resize_tell"

let case name f = Alcotest.test_case name `Quick f
let mib = 1024 * 1024
let trace = ref []
let raised = ref false

let registered =
  lazy
    (Memory.on_resize (fun { bytes; short } ->
         trace := (bytes, short) :: !trace;
         Gc.compact ();
         if !raised then raise Not_found);
     Memory.on_resize (fun { bytes; _ } -> trace := (-bytes, 0) :: !trace))

let told bytes short =
  Lazy.force registered;
  trace := [];
  Main.run (tell bytes short);
  List.rev !trace

let pairs = Alcotest.(check (list (pair int int)))

let listeners () =
  pairs "the first one first" [ (40 * mib, 0); (-40 * mib, 0) ] (told (40 * mib) 0);
  raised := true;
  pairs "an exception is no end" [ (30 * mib, mib); (-30 * mib, 0) ] (told (30 * mib) mib);
  raised := false

let compactions () =
  Lazy.force registered;
  Gc.full_major ();
  let count () = (Gc.quick_stat ()).compactions in
  let before = count () in
  ignore (told mib 0 : (int * int) list);
  let between = count () in
  ignore (told mib 1 : (int * int) list);
  (* Each time the listener of the test compacts, too. *)
  Alcotest.(check (pair int int))
    "only when memory is short" (1, 2)
    (between - before, count () - between)

let shares () =
  let now = 64 * mib in
  (* Nobody else knows how much a process has. *)
  ignore (Budget.get () : Budget.t);
  ignore (told now 0 : (int * int) list);
  let before = (Budget.get ()).total and seen = ref [] in
  Budget.follow (fun t -> seen := t.total :: !seen);
  ignore (told (now + (8 * mib)) 0 : (int * int) list);
  ignore (told (now + (3 * mib)) 0 : (int * int) list);
  Alcotest.(check (list int))
    "what has come"
    [ before + (3 * mib); before + (8 * mib); before ]
    !seen;
  Alcotest.(check int) "and from then on" (before + (3 * mib)) (Budget.get ()).total;
  Budget.set (5 * mib);
  ignore (told (now + mib) 0 : (int * int) list);
  Alcotest.(check int) "what was said stays" (5 * mib) (Budget.get ()).total

let tests =
  [
    case "listeners_are_told_in_their_order" listeners;
    case "the_heap_is_compacted_when_memory_is_short" compactions;
    case "the_network's_shares_follow" shares;
  ]
