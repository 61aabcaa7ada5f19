(* The tables of connections and of those that wait: what is found, and what is when memory ends. *)

open Mirust_tcp

let case name f = Alcotest.test_case name `Quick f
let check_int = Alcotest.(check int)
let check_bool = Alcotest.(check bool)

(* ---- Tables without memory ---- *)

(* Wherever memory ends while the [n + 1]th is added, where the table grows: the others are still found, and it can be
   added later. Entries are numbers here. *)
let grows_without_memory n ~create ~add ~find () =
  let rec failures nth =
    let table = create () in
    for i = 1 to n do
      add table i
    done;
    let failed = Shortage.fails_at nth (fun () -> add table (n + 1)) in
    for i = 1 to n do
      check_bool "found" true (find table i)
    done;
    if failed && not (find table (n + 1)) then add table (n + 1);
    for i = 1 to n + 1 do
      check_bool "found afterwards" true (find table i)
    done;
    if failed then 1 + failures (nth + 1) else 0
  in
  check_bool "failures" true (failures 1 > 0)

(* ---- Table ---- *)

let table () = Table.create ~random:(fun n -> String.init n (fun i -> Char.chr (7 * i land 255)))

let add_connection table i =
  let { Tcb.local; remote; _ } = Tcb.no_connection in
  let hash = Table.hash table { local; local_port = 80; remote; remote_port = i } in
  Table.add table { Tcb.no_connection with local_port = 80; remote_port = i; hash }

let has_connection table i =
  let { Tcb.local; remote; _ } = Tcb.no_connection in
  Option.is_some (Table.find table ~local ~local_port:80 ~remote ~remote_port:i)

(* Words that change places make another hash: else a stranger could have as many connections as he likes in one
   place of the table, without knowing its secret. *)
let every_word_of_an_address_counts_by_itself () =
  let rng = Random.State.make [| 1 |] in
  let table =
    Table.create ~random:(fun n -> String.init n (fun _ -> Char.chr (Random.State.int rng 256)))
  in
  let address words =
    Ipaddr.V6
      (Scanf.sscanf words "%lx %lx %lx %lx" (fun a b c d -> Ipaddr.V6.of_int32 (a, b, c, d)))
  in
  let plain = address "1 2 3 4" in
  let all =
    List.map address
      [ "1 2 3 4"; "2 1 3 4"; "3 2 1 4"; "4 2 3 1"; "1 3 2 4"; "1 4 3 2"; "1 2 4 3"; "0 3 3 4" ]
  in
  let key local remote = { Table.local; local_port = 80; remote; remote_port = 5000 } in
  let hashes =
    List.map (fun a -> Table.hash table (key a plain)) all
    @ List.map (fun a -> Table.hash table (key plain a)) (List.tl all)
    @ [ Table.hash table { (key plain plain) with local_port = 5000; remote_port = 80 } ]
  in
  check_int "all differ" (List.length hashes) (List.length (List.sort_uniq compare hashes))

(* ---- Waiting ---- *)

let waiting_entry i =
  {
    Waiting.none with
    local_port = 80;
    remote_port = i;
    (* Some fall together, and the highest bits tell places apart. *)
    hash = i mod 97 * (max_int / 97);
    until = 1000 + (i / 10 * 10);
  }

let has_waiting t i =
  let nobody = Waiting.none.local in
  Waiting.find t ~hash:(waiting_entry i).hash ~local:nobody ~local_port:80 ~remote:nobody
    ~remote_port:i
  != Waiting.none

let waiting () =
  let t = Waiting.create () and n = 1000 in
  let nobody = Waiting.none.local in
  let find i =
    Waiting.find t ~hash:(waiting_entry i).hash ~local:nobody ~local_port:80 ~remote:nobody
      ~remote_port:i
  in
  check_int "nothing is due" max_int (Waiting.next t);
  for i = 0 to n - 1 do
    Waiting.add t (waiting_entry i)
  done;
  check_int "all" n (Waiting.length t);
  check_bool "a stranger" true (find n == Waiting.none);
  for i = 0 to n - 1 do
    check_int "found" i (find i).remote_port;
    if i mod 3 = 0 then (
      Waiting.remove t (find i);
      check_bool "removed" true (find i == Waiting.none))
  done;
  check_int "the oldest of the rest" 1 (Waiting.oldest t).remote_port;
  (* At its own time, too. *)
  Waiting.expire t ~now:1490;
  check_int "the next is later" 1500 (Waiting.next t);
  for i = 0 to n - 1 do
    check_bool "those that are left" (i mod 3 > 0 && i >= 500) (find i != Waiting.none)
  done;
  Waiting.clear t;
  check_int "none" 0 (Waiting.length t);
  check_int "nothing is due again" max_int (Waiting.next t)

let () =
  Alcotest.run "tables"
    [
      ( "waiting",
        [
          case "found, removed, expired" waiting;
          case "without memory"
            (grows_without_memory 32 ~create:Waiting.create
               ~add:(fun t i -> Waiting.add t (waiting_entry i))
               ~find:has_waiting);
        ] );
      ( "connections",
        [
          case "words of addresses" every_word_of_an_address_counts_by_itself;
          case "without memory"
            (grows_without_memory 128 ~create:table ~add:add_connection ~find:has_connection);
        ] );
    ]
