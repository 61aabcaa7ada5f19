(* How many connections each host has: against a table of the standard library, and without memory. *)

open Mirust_tcp
open Mirust_tcp.Block

let check_int = Alcotest.(check int)
let network n = n mod 7
let host n = Ipaddr.of_string_exn (Printf.sprintf "192.0.%d.%d" (network n) n)
let place () = { no_place with who = None }

(* Those of the ring, each of which points back. *)
let ring (h : host) =
  let rec go p =
    Alcotest.(check bool) "both ways" true (p.newer.older == p && p.host == h);
    if p.newer == h.next then 1 else 1 + go p.newer
  in
  if h == no_host then 0 else go h.next

let random () =
  let rng = Random.State.make [| 11 |] in
  let hosts = Hosts.create ~secret:0x1234_5678_9abc_def and model = Hashtbl.create 16 in
  let live = ref [] in
  let of_model n = Option.value (Hashtbl.find_opt model n) ~default:0 in
  let of_network m =
    Hashtbl.fold (fun n count sum -> if network n = m then sum + count else sum) model 0
  in
  for step = 1 to 20_000 do
    let grows = if step / 5000 mod 2 = 0 then 60 else 45 in
    if !live = [] || Random.State.int rng 100 < grows then (
      let n = Random.State.int rng 200 and p = place () in
      Hosts.add hosts p (host n);
      Hashtbl.replace model n (of_model n + 1);
      live := (n, p) :: !live)
    else
      let at = Random.State.int rng (List.length !live) in
      let n, p = List.nth !live at in
      Hosts.remove hosts p;
      Hosts.remove hosts p;
      Hashtbl.replace model n (of_model n - 1);
      live := List.filteri (fun i _ -> i <> at) !live
  done;
  check_int "in all" (List.length !live) (Hosts.total hosts);
  for n = 0 to 199 do
    check_int "of a host" (of_model n) (Hosts.count hosts (host n))
  done;
  List.iter
    (fun (n, p) ->
      Hosts.saw hosts p.host;
      check_int "its ring" (of_model n) (ring p.host))
    !live;
  check_int "the most" (Hashtbl.fold (fun _ -> max) model 0) (Hosts.most hosts).count;
  for n = 0 to 6 do
    check_int "of a network" (of_network n) (Hosts.count_of_network hosts (host (n + 7)))
  done;
  let largest = Hosts.most_of_networks hosts in
  check_int "the most of networks" (List.fold_left max 0 (List.init 7 of_network)) largest.count;
  check_int "the most in it" 0
    (Hashtbl.fold
       (fun n count most -> if of_network (network n) = largest.count then max most count else most)
       model 0
    - largest.most.count);
  List.iter (fun (_, p) -> Hosts.remove hosts p) !live;
  check_int "nobody" 0 (Hosts.total hosts);
  check_int "nobody has the most" 0 (Hosts.most hosts).count;
  check_int "nor a network" 0 (Hosts.most_of_networks hosts).count

let networks () =
  let hosts = Hosts.create ~secret:1 in
  let add s = Hosts.add hosts (place ()) (Ipaddr.of_string_exn s) in
  let count s = Hosts.count hosts (Ipaddr.of_string_exn s) in
  List.iter add [ "2001:db8::1"; "2001:db8::2"; "2001:db8:0:1::1"; "192.0.2.1"; "fe80::1" ];
  check_int "a network" 2 (count "2001:db8::3");
  check_int "the next" 1 (count "2001:db8:0:1::2");
  check_int "IPv4" 1 (count "192.0.2.1");
  check_int "a stranger" 0 (count "192.0.2.2");
  check_int "a link" 1 (count "fe80::2");
  let count s = Hosts.count_of_network hosts (Ipaddr.of_string_exn s) in
  check_int "one's networks" 3 (count "2001:db8:0:2::1");
  check_int "another's" 0 (count "2001:db8:1::1");
  check_int "of IPv4" 1 (count "192.0.2.2");
  check_int "another one of IPv4" 0 (count "192.0.3.1")

(* Many hosts, one after the other: those that have gone take no memory. *)
let bounded () =
  let hosts = Hosts.create ~secret:5 in
  let words () = Obj.reachable_words (Obj.repr hosts) in
  let before = words () in
  for n = 1 to 100_000 do
    let p = place () in
    Hosts.add hosts p (Ipaddr.V4 (Ipaddr.V4.of_int32 (Int32.of_int n)));
    Hosts.remove hosts p
  done;
  Alcotest.(check bool) "bounded" true (words () - before < 300)

(* Many hosts at a time, who may all be a stranger's: the table is as large as there are hosts, so that chains are short
   and it is seldom made anew. *)
let grows () =
  let hosts = Hosts.create ~secret:7 and n = 10_000 in
  for n = 1 to n do
    Hosts.add hosts (place ()) (Ipaddr.V4 (Ipaddr.V4.of_int32 (Int32.of_int n)))
  done;
  let words x = Obj.reachable_words (Obj.repr x) in
  let entry = words { no_host with key = 0 } + words (place ()) in
  let common = 2 * words no_host in
  Alcotest.(check bool) "as large" true (words hosts - (n * (entry - common)) >= n)

(* Wherever memory ends while one more host is added, where the table grows too, it can be added later. *)
let without_memory () =
  let rec failures nth =
    let hosts = Hosts.create ~secret:3 in
    for n = 1 to 16 do
      Hosts.add hosts (place ()) (host n)
    done;
    let p = place () and address = host 100 in
    let failed = Shortage.fails_at nth (fun () -> Hosts.add hosts p address) in
    if failed && Hosts.count hosts address = 0 then (
      check_int "not counted" 16 (Hosts.total hosts);
      Hosts.remove hosts p;
      Hosts.add hosts p address);
    check_int "counted" 17 (Hosts.total hosts);
    check_int "once" 1 (Hosts.count hosts address);
    check_int "its ring" 1 (ring p.host);
    Hosts.remove hosts p;
    for n = 1 to 16 do
      check_int "the others" 1 (Hosts.count hosts (host n))
    done;
    if failed then 1 + failures (nth + 1) else 0
  in
  Alcotest.(check bool) "failures" true (failures 1 >= 2)

let () =
  Alcotest.run "hosts"
    [
      ( "hosts",
        [
          Alcotest.test_case "against a model" `Quick random;
          Alcotest.test_case "networks" `Quick networks;
          Alcotest.test_case "bounded" `Quick bounded;
          Alcotest.test_case "grows" `Quick grows;
          Alcotest.test_case "without memory" `Quick without_memory;
        ] );
    ]
