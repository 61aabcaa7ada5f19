(* Every event in every state, as the engine has it, against the tables in docs/tcp.md.

   With the argument "update" the tables are written anew. *)

open Mirust_tcp

let states =
  let established = [ "established nosack" ] in
  let fin_wait_1 = established @ [ "shutdown"; "> FA 1:1 ack 1" ] in
  let close_wait = established @ [ "< FA 1:1 ack 1"; "> A 1:1 ack 2" ] in
  [
    ("CLOSED", []);
    ("LISTEN", [ "listen" ]);
    ("SYN-SENT", [ "connect"; "> S 0:0" ]);
    ("SYN-RECEIVED", [ "listen"; "< S 0:0 mss 1000"; "> SA 0:0 ack 1" ]);
    ("ESTABLISHED", established);
    ("FIN-WAIT-1", fin_wait_1);
    ("FIN-WAIT-2", fin_wait_1 @ [ "< A 1:1 ack 2" ]);
    ("CLOSING", fin_wait_1 @ [ "< FA 1:1 ack 1"; "> A 2:2 ack 2" ]);
    ("TIME-WAIT", fin_wait_1 @ [ "< FA 1:1 ack 2"; "> A 2:2 ack 2" ]);
    ("CLOSE-WAIT", close_wait);
    ("LAST-ACK", close_wait @ [ "shutdown"; "> FA 1:1 ack 2" ]);
  ]

type event = { name : string; steps : Script.view -> string list }

let event name steps = { name; steps }
let segment fmt = Printf.ksprintf (fun s -> [ s ]) fmt

(* The FIN that is next, or the same again. *)
let fin (v : Script.view) = if v.peer_closed then v.next - 1 else v.next

let segments : event list =
  [
    event "SYN" (fun v -> segment "< S %d:%d mss 1000" (v.next - 1) (v.next - 1));
    event "SYN, in window" (fun v -> segment "< S %d:%d mss 1000" (v.next + 5) (v.next + 5));
    event "SYN ACK" (fun v -> segment "< SA %d:%d ack %d mss 1000" (v.next - 1) (v.next - 1) v.nxt);
    event "ACK" (fun v -> segment "< A %d:%d ack %d" v.next v.next v.nxt);
    event "ACK of more" (fun v -> segment "< A %d:%d ack %d" v.next v.next (v.nxt + 1));
    event "data" (fun v -> segment "< PA %d:%d ack %d" v.next (v.next + 10) v.una);
    event "old data" (fun v -> segment "< PA %d:%d ack %d" (v.next - 20) (v.next - 10) v.una);
    event "FIN" (fun v -> segment "< FA %d:%d ack %d" (fin v) (fin v) v.una);
    event "FIN, ACK of all" (fun v -> segment "< FA %d:%d ack %d" (fin v) (fin v) v.nxt);
    event "RST" (fun v -> segment "< RA %d:%d ack %d" v.next v.next v.nxt);
    event "RST, in window" (fun v -> segment "< RA %d:%d ack %d" (v.next + 5) (v.next + 5) v.nxt);
    event "RST, outside" (fun v ->
        segment "< RA %d:%d ack %d" (v.next + 70000) (v.next + 70000) v.nxt);
  ]

let calls : event list =
  [
    event "write" (fun _ -> [ "write 10" ]);
    event "shutdown" (fun _ -> [ "shutdown" ]);
    event "close" (fun _ -> [ "close" ]);
    event "abort" (fun _ -> [ "abort" ]);
    event "close, then silence" (fun _ -> [ "close"; "silence 600000" ]);
    event "silence" (fun _ -> [ "silence 600000" ]);
  ]

(* A call needs a connection that the user has. *)
let has_user = function "CLOSED" | "LISTEN" | "SYN-RECEIVED" -> false | _ -> true

let show state (next, sent) =
  let next =
    match next with
    | Some s -> Fmt.str "%a" Tcb.pp_state s
    | None -> if state = "LISTEN" || state = "SYN-RECEIVED" then "LISTEN" else "CLOSED"
  in
  ((if next = state then "" else next), String.concat ", " sent)

let cell state steps event =
  if List.memq event calls && event.name <> "silence" && not (has_user state) then ("", "", true)
  else
    let next, sent = show state (Script.play steps event.steps) in
    (next, sent, false)

let table b events =
  let add fmt = Printf.bprintf b fmt in
  add "| |";
  List.iter (fun e -> add " %s |" e.name) events;
  add "\n|---|";
  List.iter (fun _ -> add "---|") events;
  add "\n";
  List.iter
    (fun (state, steps) ->
      add "| **%s** |" state;
      List.iter
        (fun e ->
          match cell state steps e with
          | _, _, true -> add "  |"
          | "", "", _ -> add " – |"
          | next, "", _ -> add " → %s |" next
          | "", sent, _ -> add " `%s` |" sent
          | next, sent, _ -> add " → %s `%s` |" next sent)
        events;
      add "\n")
    states

let diagram b =
  let add fmt = Printf.bprintf b fmt in
  add "```mermaid\nstateDiagram-v2\n  direction LR\n";
  let id s = String.map (function '-' -> '_' | c -> c) s in
  List.iter
    (fun (state, steps) ->
      let targets = Hashtbl.create 4 in
      let order = ref [] in
      List.iter
        (fun e ->
          match cell state steps e with
          | "", _, _ -> ()
          | next, _, _ ->
              if not (Hashtbl.mem targets next) then order := next :: !order;
              Hashtbl.replace targets next
                (e.name :: Option.value (Hashtbl.find_opt targets next) ~default:[]))
        (segments @ calls);
      List.iter
        (fun next ->
          add "  %s --> %s: %s\n" (id state) (id next)
            (String.concat " / " (List.rev (Hashtbl.find targets next))))
        (List.rev !order))
    states;
  add "```\n"

let generated () =
  let b = Buffer.create 10_000 in
  diagram b;
  Buffer.add_string b "\n";
  table b segments;
  Buffer.add_string b "\n";
  table b calls;
  Buffer.contents b

let first = "<!-- states: written by tests/tcp/states_test.exe update -->\n"
let last = "<!-- states: end -->"
let file = "../../docs/tcp.md"

let find text part from =
  let n = String.length part in
  let rec at i =
    if i + n > String.length text then failwith ("docs/tcp.md: no " ^ part)
    else if String.sub text i n = part then i
    else at (i + 1)
  in
  at from

let () =
  let text = In_channel.with_open_bin file In_channel.input_all in
  let start = find text first 0 + String.length first in
  let stop = find text last start in
  let now = generated () in
  if Array.mem "update" Sys.argv then
    Out_channel.with_open_bin file (fun oc ->
        output_string oc (String.sub text 0 start);
        output_string oc now;
        output_string oc (String.sub text stop (String.length text - stop)))
  else if String.sub text start (stop - start) <> now then (
    print_string now;
    print_endline "docs/tcp.md does not say what the engine does: see the tables above";
    exit 1)
