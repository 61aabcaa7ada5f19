(* What a crossing costs, in nanoseconds and as a ratio to an OCaml call measured in the same run. Each figure
   is the least of many rounds, so that what else the machine does counts as little as possible. *)

external noalloc : (int[@untagged]) -> (int[@untagged]) = "mirust_native_only" "bench_noalloc"
[@@noalloc]

external export_noalloc : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_bench_export_noalloc"
[@@noalloc]

external export : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_bench_export"

external export_rooted : string -> (int[@untagged])
  = "mirust_native_only" "mirust_export_bench_export_rooted"

external export_bytes : string -> (int[@untagged])
  = "mirust_native_only" "mirust_export_bench_export_bytes"

external counter : (int[@untagged]) -> Obj.t = "mirust_native_only" "mirust_export_counter_new"

external counter_next : Obj.t -> (int[@untagged])
  = "mirust_native_only" "mirust_export_counter_next"

external string : string -> string = "mirust_export_bench_string"

external panic : (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_bench_panic"

external callback : (int -> int) -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_bench_callback"

external root : string -> (int[@untagged]) -> (int[@untagged])
  = "mirust_native_only" "mirust_export_bench_root"

external future : (int[@untagged]) -> int Lwt.t = "mirust_native_only" "mirust_export_bench_future"

external await : (int -> int Lwt.t) -> (int[@untagged]) -> unit Lwt.t
  = "mirust_native_only" "mirust_export_bench_await"

let () = Mirust.Streams.enable ()

external feed : (int[@untagged]) -> int Lwt_stream.t
  = "mirust_native_only" "mirust_export_test_feed"

external read : int Lwt_stream.t -> int Lwt.t = "mirust_export_bench_read"

external clock : unit -> (int64[@unboxed]) = "mirust_native_only" "mirust_time_monotonic_ns"
[@@noalloc]

external poll : (int64[@unboxed]) -> (int[@untagged]) = "mirust_native_only" "mirust_poll"

let[@inline never] ocaml_call n = Sys.opaque_identity n + 1

(* Nanoseconds for one of [n] steps of [f n]: the least of many rounds. *)
let least ?(rounds = 40) n f =
  let best = ref infinity in
  for _ = 1 to rounds do
    let start = clock () in
    f n;
    let ns = Int64.to_float (Int64.sub (clock ()) start) /. float n in
    if ns < !best then best := ns
  done;
  !best

let baseline = ref 1.

let row ?goal name ns =
  let verdict =
    match goal with
    | None -> ""
    | Some goal -> Printf.sprintf "%8.0f  %s" goal (if ns <= goal then "met" else "MISSED")
  in
  Printf.printf "%-44s %9.1f %8.1f %s\n%!" name ns (ns /. !baseline) verdict

let quietly f =
  Mirust.Log.set_level None;
  f ();
  Mirust.Log.set_level (Some Logs.Info)

let steps = 10_000

(* [n] steps, this many at a time. *)
let in_batches size one n =
  let rec go left =
    if left = 0 then Lwt.return_unit
    else
      Lwt.bind
        (Lwt.join (List.init size (fun i -> Lwt.map ignore (one i))))
        (fun () -> go (left - 1))
  in
  Mirust.Main.run (go (n / size))

let one_by_one one n =
  let rec go i = if i = 0 then Lwt.return_unit else Lwt.bind (one i) (fun _ -> go (i - 1)) in
  Mirust.Main.run (go n)

(* Promises as those of futures, of which Rust knows nothing. *)
let lwt_alone =
  let waiting = Queue.create () in
  Mirust.Main.at_enter_iter (fun () ->
      while not (Queue.is_empty waiting) do
        Lwt.wakeup_later (Queue.pop waiting) 1
      done);
  fun _ ->
    let promise, resolver = Lwt.task () in
    Lwt.on_cancel promise ignore;
    (* The loop does not wait. *)
    if Queue.is_empty waiting then Lwt.async Lwt.pause;
    Queue.push resolver waiting;
    promise

let futures () =
  row ~goal:200. "OCaml awaits a Rust future, a poll each" (least steps (one_by_one future));
  row ~goal:200. "... 100 at a time" (least steps (in_batches 100 future));
  row "... the same without Rust, Lwt alone" (least steps (in_batches 100 lwt_alone));
  (* What waits for so long is moved to the major heap. *)
  row "... 10,000 at a time" (least steps (in_batches steps future));
  row "... the same without Rust, Lwt alone" (least steps (in_batches steps lwt_alone))

let promises () =
  row ~goal:200. "Rust awaits an OCaml promise, resolved"
    (least steps (fun n -> Mirust.Main.run (await Lwt.return n)));
  let next_turn _ =
    let promise, resolver = Lwt.wait () in
    Mirust.Main.soon (fun () -> Lwt.wakeup_later resolver 1);
    promise
  in
  row ~goal:200. "... pending, a turn of both loops each"
    (least steps (fun n -> Mirust.Main.run (await next_turn n)));
  row "... pending by Lwt.pause"
    (least steps (fun n ->
         Mirust.Main.run (await (fun i -> Lwt.map (fun () -> i) (Lwt.pause ())) n)));
  row "... the same without Rust, Lwt alone"
    (least steps (one_by_one (fun i -> Lwt.map (fun () -> i) (Lwt.pause ()))))

let streams () =
  row "OCaml reads a Rust stream, an element"
    (least steps (fun n -> Mirust.Main.run (Lwt_stream.iter ignore (feed n))));
  let count n =
    let next = ref 0 in
    Lwt_stream.from_direct (fun () ->
        incr next;
        if !next > n then None else Some !next)
  in
  row "Rust reads an OCaml stream, an element"
    (least steps (fun n -> Mirust.Main.run (Lwt.map ignore (read (count n)))))

let () =
  let n = 1_000_000 in
  let[@inline] times f n =
    for i = 1 to n do
      ignore (Sys.opaque_identity (f i))
    done
  in
  Printf.printf "%-44s %9s %8s %8s\n" "" "ns" "ratio" "goal, ns";
  baseline :=
    least n (fun n ->
        for i = 1 to n do
          ignore (Sys.opaque_identity (ocaml_call i))
        done);
  row "OCaml -> OCaml" !baseline;
  row ~goal:5. "OCaml -> Rust, noalloc"
    (least n (fun n ->
         for i = 1 to n do
           ignore (Sys.opaque_identity (noalloc i))
         done));
  row ~goal:5. "OCaml -> Rust, #[export(noalloc)]"
    (least n (fun n ->
         for i = 1 to n do
           ignore (Sys.opaque_identity (export_noalloc i))
         done));
  row ~goal:10. "OCaml -> Rust, #[export], panic-safe"
    (least n (fun n ->
         for i = 1 to n do
           ignore (Sys.opaque_identity (export i))
         done));
  let s = String.make 32 'x' in
  row "... with borrowed bytes" (least n (times (fun _ -> export_bytes s)));
  row "... with a rooted argument" (least n (times (fun _ -> export_rooted s)));
  let c = counter 0 in
  row "... a method of a value that OCaml owns" (least n (times (fun _ -> counter_next c)));
  row "... such a value, made and dropped" (least ~rounds:10 n (times counter));
  row "... String to Rust and back, 32 bytes" (least n (times (fun _ -> string s)));
  row ~goal:20. "Rust -> OCaml closure, exception-safe"
    (least n (fun n -> ignore (callback ocaml_call n)));
  row "root, made and dropped" (least n (fun n -> ignore (root s n)));
  row "the poll, with nothing to do" (least 10_000 (times (fun _ -> poll 0L)));
  futures ();
  promises ();
  streams ();
  quietly (fun () ->
      row "panic in Rust -> exception in OCaml"
        (least ~rounds:10 1000 (times (fun i -> try panic i with Mirust.Panic _ -> 0))));
  quietly (fun () ->
      row "exception in OCaml -> Err in Rust"
        (least ~rounds:10 10_000 (fun n -> ignore (callback (fun _ -> raise Exit) n))))
