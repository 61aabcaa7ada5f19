(* Every call that mirage-xen makes, in Mirage's loop, beside Rust. *)

open Lwt.Infix
open Xen_os

let mirage_word =
  Mirage_runtime.register_arg
    Cmdliner.Arg.(value & opt string "" & info [ "mirage-word" ] ~doc:"A parameter of Mirage's.")

let mirust_word =
  Mirust.Bootvar.register
    Cmdliner.Arg.(value & opt string "" & info [ "mirust-word" ] ~doc:"A parameter of ours.")

let role =
  Mirage_runtime.register_arg
    Cmdliner.Arg.(value & opt string "" & info [ "role" ] ~doc:"lend, borrow, calls or hoard.")

let passed = ref 0

let check name condition =
  if condition then (
    incr passed;
    Printf.printf "ok %s\n%!" name)
  else failwith ("not so: " ^ name)

let fails f = match f () with exception Failure _ -> true | _ -> false

(* The collector runs where it can: in each turn, and again and again during it. *)
let collect_always () =
  Gc.set { (Gc.get ()) with minor_heap_size = 4096; space_overhead = 20 };
  let turns = ref 0 in
  Mirage_runtime.at_enter_iter (fun () ->
      incr turns;
      if !turns land 15 = 0 then Gc.full_major () else Gc.minor ());
  Mirage_runtime.at_leave_iter Gc.minor

let ms n = Int64.mul (Int64.of_int n) 1_000_000L

let clocks () =
  let a = Mirage_mtime.elapsed_ns () in
  Mirage_sleep.ns (ms 20) >>= fun () ->
  let took = Int64.sub (Mirage_mtime.elapsed_ns ()) a in
  check "a sleep takes as long as it says" (took >= ms 20);
  let year, _, _ = Ptime.to_date (Mirage_ptime.now ()) in
  check "it is not 1970" (year > 2020);
  Mirust.Time.ns (ms 5) >|= fun () -> check "our sleep under Mirage's loop" true

let futures () =
  let numbers = List.init 200 Fun.id in
  Lwt_list.map_p (fun i -> Service.later i (i mod 7)) numbers >>= fun got ->
  check "promises of 200 futures" (got = numbers);
  Service.start_ticking ();
  (* However slow the machine: OCaml sleeps, at most ten seconds, and Rust goes on. *)
  let rec wait n =
    if n = 0 || Service.ticks () > 10 then Lwt.return_unit
    else Mirage_sleep.ns (ms 20) >>= fun () -> wait (n - 1)
  in
  wait 500 >>= fun () ->
  check "a task ticks while OCaml sleeps" (Service.ticks () > 10);
  let calls = ref 0 in
  let f i =
    incr calls;
    String.length (String.make i 'x')
  in
  Service.sum f 100 >>= fun sum ->
  check "a task calls a closure" (sum = Ok 4950 && !calls = 100);
  let cancelled = Service.later 1 1_000_000 in
  Lwt.cancel cancelled;
  check "a future is cancelled" (Lwt.state cancelled = Lwt.Fail Lwt.Canceled);
  (* Never idle: the loop does not block, and Rust runs all the same. *)
  let rec spin n = if n = 0 then Lwt.return_unit else Lwt.pause () >>= fun () -> spin (n - 1) in
  Lwt.both (spin 3000) (Service.later 7 3) >|= fun ((), n) -> check "beside a busy loop" (n = 7)

let memory () =
  let open Memory in
  check "memory figures" (live_words () > 0 && fast_live_words () > 0 && heap_words () >= 0);
  check "stack" (stack_words () >= 0 && stack_words () < 200_000);
  trim ()

(* Whether there is a Xen below. *)
let on_xen () = match Grants.nr_entries () with 0 -> false | _ -> true

let without_xen () =
  check "without Xen an event channel is a failure" (fails (fun () -> Eventchn.alloc_unbound 0 0));
  check "and a grant" (fails (fun () -> Grants.map () 8 0 false));
  check "and xenstore" (fails (fun () -> Xs.connect ()));
  check "nothing to give out" (Grants.nr_entries () = 0)

let events domid =
  let open Eventchn in
  let a = alloc_unbound 0 domid in
  let b = bind_interdomain 0 domid a in
  check "ports are below their number" (a < nr_events () && b < nr_events ());
  let rec play n seen_a seen_b =
    if n = 0 then Lwt.return_unit
    else (
      notify 0 a;
      after b seen_b >>= fun seen_b ->
      notify 0 b;
      after a seen_a >>= fun seen_a -> play (n - 1) seen_a seen_b)
  in
  (* Both may have one to begin with. *)
  Mirage_sleep.ns (ms 1) >>= fun () ->
  play 300 counts.(a) counts.(b) >>= fun () ->
  check "300 events there and back" (counts.(a) >= 300 && counts.(b) >= 300);
  notify 0 a;
  unbind 0 b;
  unbind 0 a;
  check "a port is closed once" (fails (fun () -> unbind 0 a));
  notify 0 a;
  check "nobody is there" (fails (fun () -> bind_interdomain 0 domid 4000));
  let v = bind_virq 0 1 in
  check "a virtual interrupt" (v < nr_events ());
  unbind 0 v;
  unbind 0 (bind_virq 0 (virq_dom_exc ()));
  check "no such interrupt" (fails (fun () -> bind_virq 0 99));
  (* Every port comes back. *)
  for _ = 1 to 500 do
    unbind 0 (alloc_unbound 0 0)
  done;
  check "500 ports, one after the other" true;
  Lwt.return_unit

let grants () =
  let open Grants in
  let first = nr_reserved () and past = nr_entries () in
  check "entries are lent" (past - first >= 512 && first >= 8);
  let page = Xs.console_page () in
  grant first page 0 false;
  check "one number, one page" (fails (fun () -> grant first page 0 true));
  check "it ends" (end_access first && end_access first);
  check "not ours to give out" (fails (fun () -> grant (first - 1) page 0 false));
  check "nor beyond" (fails (fun () -> grant past page 0 false));
  check "not aligned"
    (fails (fun () -> grant first Bigarray.Array1.(sub (page : page) 8 8) 0 false));
  for i = first to past - 1 do
    grant i page 0 true
  done;
  let ended = ref 0 in
  for i = first to past - 1 do
    if end_access i then incr ended
  done;
  check "all of them" (!ended = past - first);
  check "nothing to map" (fails (fun () -> map () 4000 0 false));
  check "nor several" (fails (fun () -> mapv () [| 0; 4000; 0; 4001 |] false));
  check "nor none" (fails (fun () -> mapv () [||] true))

let console () =
  let page = Xs.console_page () and port = Xs.console_evtchn () in
  let text = "ok what is written to Mirage's console\n" in
  let prod = Int32.to_int (Xs.get32 page 3084) in
  String.iteri (fun i c -> page.{1024 + ((prod + i) land 2047)} <- c) text;
  Xs.set32 page 3084 (Int32.of_int (prod + String.length text));
  let seen = Eventchn.counts.(port) in
  Eventchn.notify 0 port;
  Eventchn.after port seen >|= fun _ ->
  check "it was taken" (Int32.to_int (Xs.get32 page 3080) = prod + String.length text)

let xenstore xs =
  let rec count i = function
    | 0 -> Lwt.return_unit
    | n ->
        Xs.transaction xs (fun tx ->
            Xs.get xs ~tx "data/mirage" >>= fun was ->
            Xs.set xs ~tx "data/mirage" (string_of_int (int_of_string was + 1)))
        >>= fun () -> count (i + 1) (n - 1)
  in
  Xs.watch xs "data/mirage" "1" >>= fun () ->
  Xs.set xs "data/mirage" "0" >>= fun () ->
  let big = String.init 1900 (fun i -> Char.chr (33 + (i mod 90))) in
  let rec large n =
    if n = 0 then Lwt.return_unit
    else
      Xs.set xs "data/big" big >>= fun () ->
      Xs.get xs "data/big" >>= fun got ->
      if got <> big then failwith "the large value differs";
      large (n - 1)
  in
  Lwt.both
    (Service.count_in_store "data/rust" 60)
    (Lwt.join [ count 0 60; large 30 ])
  >>= fun (rust, ()) ->
  check "Rust counts beside Mirage" (rust = Ok 60);
  Xs.get xs "data/mirage" >>= fun mine ->
  check "Mirage counts beside Rust" (mine = "60");
  let events = Lwt_stream.get_available xs.events in
  check "events are one's own"
    (events <> [] && List.for_all (fun (path, token) -> path = "data/mirage" && token = "1") events);
  Lwt.catch
    (fun () -> Xs.get xs "data/nothing" >|= fun _ -> false)
    (function Xs.Error "ENOENT\000" -> Lwt.return true | _ -> Lwt.return false)
  >|= check "no such node"

let lies xs =
  (* A producer's index that cannot be. *)
  Xs.set32 (xs : Xs.t).page Xs.req_prod 0x7000_0000l;
  Eventchn.notify 0 xs.port;
  Service.count_in_store "data/rust" 5 >>= fun rust ->
  check "Rust goes on after a lying client" (rust = Ok 5);
  Xs.leave xs;
  let anew = Xs.connect () in
  Xs.get anew "data/rust" >>= fun five ->
  check "who begins anew is served again" (five = "5");
  Lwt.return anew

(* One guest grants pages to the other, which maps them one behind the other. *)

let rec wait_for xs path =
  Lwt.catch
    (fun () -> Xs.get xs path)
    (function Xs.Error _ -> Mirage_sleep.ns (ms 50) >>= fun () -> wait_for xs path | e -> Lwt.reraise e)

let lend xs =
  check "waiting for a peer" true;
  wait_for xs "data/peer" >>= fun peer ->
  let peer = int_of_string peer and first = Grants.nr_reserved () in
  (* Two pages of our own: xenstore's and the console's. *)
  let pages = [ Xs.console_page (); (xs : Xs.t).page ] in
  let console = List.hd pages in
  console.{4095} <- 'L';
  List.iteri (fun i page -> Grants.grant (first + i) page peer (i = 0)) pages;
  Xs.set xs "data/gref" (string_of_int first) >>= fun () ->
  wait_for xs "data/done" >>= fun _ ->
  check "the borrower has written" (console.{4094} = 'B');
  check "both end" (Grants.end_access first && Grants.end_access (first + 1));
  Lwt.return_unit

let borrow xs =
  let open Grants in
  wait_for xs "data/gref" >>= fun gref ->
  wait_for xs "data/peer" >>= fun peer ->
  let gref = int_of_string gref and peer = int_of_string peer in
  let handle, run = mapv () [| peer; gref + 1; peer; gref |] false in
  check "two pages in the order of the array" (Bigarray.Array1.dim run = 8192 && run.{8191} = 'L');
  unmap () handle;
  check "unmapped once" (fails (fun () -> unmap () handle));
  let handle, page = map () gref peer true in
  check "one page" (page.{4095} = 'L');
  page.{4094} <- 'B';
  unmap () handle;
  Xs.set xs "data/returned" "1"

(* What a call costs, in nanoseconds: the least of many rounds, so that what else the machine does counts little. Each
   loop is written out, for there to be no other call in it. *)

let[@inline never] ocaml_next n = Sys.opaque_identity n + 1

let within_ocaml steps =
  let n = ref 0 in
  for _ = 1 to steps do
    n := ocaml_next !n
  done;
  !n

let to_rust_noalloc steps =
  let n = ref 0 in
  for _ = 1 to steps do
    n := Service.next_noalloc !n
  done;
  !n

let to_rust steps =
  let n = ref 0 in
  for _ = 1 to steps do
    n := Service.next !n
  done;
  !n

let from_rust steps =
  match Service.repeat ocaml_next steps with Ok n -> n | Error words -> failwith words

let calls () =
  let steps = 100_000 in
  let least (name, loop) =
    let round () =
      let before = Mirage_mtime.elapsed_ns () in
      if loop steps <> steps then failwith "calls are missing";
      Int64.to_float (Int64.sub (Mirage_mtime.elapsed_ns ()) before) /. float_of_int steps
    in
    let rounds = List.init 40 (fun _ -> round ()) in
    Printf.printf "%-30s %6.1f ns\n%!" name (List.fold_left min infinity rounds)
  in
  List.iter least
    [
      ("OCaml calls OCaml", within_ocaml);
      ("OCaml calls Rust, noalloc", to_rust_noalloc);
      ("OCaml calls Rust", to_rust);
      ("Rust calls an OCaml closure", from_rust);
    ];
  Lwt.return_unit

(* Takes all memory there is, in Mirage's loop. *)
let rec hoard kept =
  Lwt.pause () >>= fun () -> hoard (Bytes.create 1_000_000 :: kept)

let collected role =
  collect_always ();
  role (Xs.connect ())

let start () =
  Mirage_runtime.at_exit (fun () ->
      Printf.printf "ok Mirage's exit hook\n%!";
      Lwt.return_unit);
  Mirust.Main.at_exit (fun () ->
      Printf.printf "ok our exit hook\n%!";
      Lwt.return_unit);
  match role () with
  | "calls" -> calls ()
  | "hoard" -> hoard []
  | "lend" -> collected lend
  | "borrow" -> collected borrow
  | _ ->
      collect_always ();
      check "both command lines are one" (mirage_word () = "a" && mirust_word () = "b");
      clocks () >>= futures >>= fun () ->
      memory ();
      (if not (on_xen ()) then Lwt.return (without_xen ())
       else
         let xs = Xs.connect () in
         Xs.get xs "domid" >>= fun domid ->
         events (int_of_string domid) >>= fun () ->
         grants ();
         console () >>= fun () ->
         xenstore xs >>= fun () -> lies xs >|= ignore)
      >|= fun () -> Printf.printf "mirage: %d checks passed\n%!" !passed
