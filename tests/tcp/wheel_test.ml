(* The wheel against a sorted list, with random timers over all its levels. *)

open Mirust_tcp

let tick = 1 lsl 20

let random_against_model seed () =
  let rng = Random.State.make [| seed |] in
  let now = ref (Random.State.full_int rng (1 lsl 50)) in
  let wheel = Wheel.create ~now:!now in
  let timers = Array.init 200 (fun i -> Wheel.timer wheel i) in
  let model = Hashtbl.create 200 in
  for _ = 1 to 5000 do
    (match Random.State.int rng 4 with
    | 0 | 1 ->
        let i = Random.State.int rng 200 in
        let due = !now + Random.State.full_int rng (1 lsl (10 + Random.State.int rng 34)) in
        Wheel.add wheel timers.(i) due;
        Hashtbl.replace model i due
    | 2 ->
        let i = Random.State.int rng 200 in
        Wheel.remove wheel timers.(i);
        Hashtbl.remove model i
    | _ ->
        now := !now + Random.State.full_int rng (1 lsl (10 + Random.State.int rng 32));
        let earliest = Hashtbl.fold (fun _ due acc -> min due acc) model max_int in
        if earliest < max_int && Wheel.next wheel > ((earliest / tick) + 2) * tick then
          Alcotest.failf "next %d is after the first timer %d" (Wheel.next wheel) earliest;
        Wheel.advance wheel ~now:!now (fun i ->
            match Hashtbl.find_opt model i with
            | None -> Alcotest.failf "timer %d fired, but was not pending" i
            | Some due ->
                if due > !now then Alcotest.failf "timer %d fired %d ns early" i (due - !now);
                Hashtbl.remove model i);
        Hashtbl.iter
          (fun i due ->
            if due + (2 * tick) <= !now then Alcotest.failf "timer %d is %d ns late" i (!now - due))
          model);
    Alcotest.(check int) "pending" (Hashtbl.length model) (Wheel.length wheel)
  done

let added_while_firing () =
  let wheel = Wheel.create ~now:0 in
  let fired = ref 0 in
  let rec timer = lazy (Wheel.timer wheel ())
  and f () =
    incr fired;
    Wheel.add wheel (Lazy.force timer) 0
  in
  Wheel.add wheel (Lazy.force timer) 0;
  Wheel.advance wheel ~now:(5 * tick) f;
  (* Re-armed for the past: once a tick, not for ever. *)
  Alcotest.(check int) "fired" 5 !fired

(* What is due with one for which memory runs out is late until the next time, and no later. *)
let memory_runs_out () =
  let wheel = Wheel.create ~now:0 in
  let timers = Array.init 40 (fun i -> Wheel.timer wheel i) in
  (* In one slot, behind the end of a level, in which others begin. *)
  Array.iteri (fun i timer -> Wheel.add wheel timer ((32 + (i / 20)) * tick)) timers;
  let fired = ref [] in
  let f fails i =
    fired := i :: !fired;
    if List.mem i fails then (
      (* What is added meanwhile stays where it belongs, a turn of both levels later too. *)
      Wheel.add wheel timers.(i) (((32 * (i + 1)) + 33) * tick);
      raise Out_of_memory)
  in
  let advance ~now fails =
    match Wheel.advance wheel ~now:(now * tick) (f fails) with
    | () -> false
    | exception Out_of_memory -> true
  in
  Alcotest.(check bool) "runs out" true (advance ~now:32 [ 0 ]);
  Alcotest.(check int) "due at once" (32 * tick) (Wheel.next wheel);
  Alcotest.(check bool) "and again" true (advance ~now:33 [ 1; 31 ]);
  Alcotest.(check bool) "and again" true (advance ~now:33 [ 31 ]);
  Alcotest.(check bool) "the rest" false (advance ~now:33 []);
  Alcotest.(check (list int)) "each once, in order" (List.init 40 Fun.id) (List.rev !fired);
  fired := [];
  for now = 34 to 3000 do
    ignore (advance ~now [] : bool)
  done;
  Alcotest.(check (list int)) "what was added" [ 0; 1; 31 ] (List.rev !fired);
  Alcotest.(check int) "nothing is left" 0 (Wheel.length wheel)

(* A full turn of the lowest level later is the slot that is being fired. *)
let added_a_turn_later () =
  let wheel = Wheel.create ~now:0 in
  let fired = ref 0 in
  let timer = Wheel.timer wheel () in
  let due = ref tick in
  let f () =
    incr fired;
    due := !due + (32 * tick);
    Wheel.add wheel timer !due
  in
  Wheel.add wheel timer !due;
  Wheel.advance wheel ~now:(32 * tick) f;
  Alcotest.(check int) "fired" 1 !fired;
  Alcotest.(check bool) "next" true (Wheel.next wheel <= 33 * tick);
  Wheel.advance wheel ~now:(33 * tick) f;
  Alcotest.(check int) "fired" 2 !fired

(* Each distance once: at a full turn of a level the timer comes to lie in the slot that fires. *)
let added_at_every_distance () =
  for ticks = 1 to 3000 do
    let wheel = Wheel.create ~now:0 in
    let fired = ref 0 in
    let timer = Wheel.timer wheel () in
    let f () =
      incr fired;
      if !fired > 10 then Alcotest.failf "%d ticks: fires for ever" ticks;
      Wheel.add wheel timer ((5 + (!fired * ticks)) * tick)
    in
    Wheel.add wheel timer (5 * tick);
    Wheel.advance wheel ~now:((5 + (2 * ticks)) * tick) f;
    Alcotest.(check int) (Printf.sprintf "fired, %d ticks apart" ticks) 3 !fired
  done

let () =
  Alcotest.run "wheel"
    [
      ( "wheel",
        Alcotest.test_case "timer added while firing waits a tick" `Quick added_while_firing
        :: Alcotest.test_case "timer added a turn later waits for it" `Quick added_a_turn_later
        :: Alcotest.test_case "timer added at every distance" `Quick added_at_every_distance
        :: Alcotest.test_case "memory runs out for one of several" `Quick memory_runs_out
        :: List.init 20 (fun seed ->
               Alcotest.test_case
                 (Printf.sprintf "model, seed %d" seed)
                 `Quick (random_against_model seed)) );
    ]
