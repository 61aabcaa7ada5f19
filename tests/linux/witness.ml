(* What clients of examples/kv were told, and whether the store keeps to it.

     witness tell ADDRESS PORT HISTORY SECONDS CONNECTIONS DEPTH
     witness check ADDRESS PORT HISTORY LENIENCE

   [tell]: this many connections change keys of their own, each with this many requests under way, and note in the
   file HISTORY what was sent and what was answered. It ends after this many seconds, when it gets SIGTERM, or when
   all connections have ended: its server may die at any moment. [check]: a server that was started again is asked for
   every key. It must have the last change that was answered, or one that was sent after that. With a LENIENCE
   in seconds, answers that came so late before the end of [tell] count as none. What differs is printed: the key, what
   was answered and when, and what came back. What came back is then what is expected.

   A change has a number, and the value says which one it is. HISTORY has a line for each change that may be what
   the server has: key, number, `set` or `delete`, and the time of the answer or `-`. *)

type kind = Set | Delete
type change = { number : int; kind : kind; mutable answered : float option }

(* By key: the changes that the server may have, the latest first. The oldest was answered. *)
type history = (string, change list) Hashtbl.t

let nothing = { number = 0; kind = Delete; answered = Some 0. }
let changes history key = Option.value (Hashtbl.find_opt history key) ~default:[ nothing ]

(* {1 The file} *)

let load file : history =
  let history = Hashtbl.create 1000 in
  (if Sys.file_exists file then
     In_channel.with_open_bin file @@ fun channel ->
     In_channel.fold_lines
       (fun () line ->
         Scanf.sscanf line "%s %d %s %s" (fun key number kind answered ->
             let kind = if kind = "set" then Set else Delete in
             let change = { number; kind; answered = float_of_string_opt answered } in
             let earlier = Option.value (Hashtbl.find_opt history key) ~default:[] in
             Hashtbl.replace history key (change :: earlier)))
       () channel);
  history

let store file history =
  Out_channel.with_open_bin (file ^ ".new") (fun channel ->
      let line key { number; kind; answered } =
        Printf.fprintf channel "%s %d %s %s\n" key number
          (match kind with Set -> "set" | Delete -> "delete")
          (Option.fold ~none:"-" ~some:(Printf.sprintf "%.6f") answered)
      in
      Hashtbl.iter (fun key changes -> List.iter (line key) (List.rev changes)) history);
  Sys.rename (file ^ ".new") file

(* {1 Values} *)

(* Of any length, now and then of many sectors. *)
let value key number =
  let head = Printf.sprintf "%s#%d#" key number in
  let length = match number mod 97 with 0 -> 30_000 | n -> 7 * n in
  head ^ String.make length (Char.chr (97 + (number mod 26)))

let number_of value =
  try Scanf.sscanf value "%_s@#%d#" Option.some
  with Scanf.Scan_failure _ | Failure _ | End_of_file -> None

(* {1 The protocol} *)

let request words =
  let bulk word = Printf.sprintf "$%d\r\n%s\r\n" (String.length word) word in
  Printf.sprintf "*%d\r\n%s" (List.length words) (String.concat "" (List.map bulk words))

type reply = Word of string | Number of int | Failure of string | Value of string option

type connection = {
  name : int;
  socket : Unix.file_descr;
  mutable input : string; (* that is not a whole reply *)
  mutable output : string; (* that is still to be sent *)
  waiting : change Queue.t; (* for a reply *)
  mutable is_open : bool;
}

let connect address port name =
  let socket = Unix.socket ~cloexec:true PF_INET SOCK_STREAM 0 in
  Unix.setsockopt socket TCP_NODELAY true;
  Unix.connect socket (ADDR_INET (Unix.inet_addr_of_string address, port));
  { name; socket; input = ""; output = ""; waiting = Queue.create (); is_open = true }

let buffer = Bytes.create 65536

(* Reads what there is. *)
let receive c =
  match Unix.read c.socket buffer 0 (Bytes.length buffer) with
  | 0 | (exception Unix.Unix_error ((ECONNRESET | ETIMEDOUT | EHOSTUNREACH | EPIPE), _, _)) ->
      c.is_open <- false
  | length -> c.input <- c.input ^ Bytes.sub_string buffer 0 length

(* Takes the next whole reply. *)
let take c =
  let rest_from at = String.sub c.input at (String.length c.input - at) in
  match String.index_opt c.input '\r' with
  | None -> None
  | Some at when at + 2 > String.length c.input -> None
  | Some at -> (
      let word = String.sub c.input 1 (at - 1) in
      let simple reply =
        c.input <- rest_from (at + 2);
        Some reply
      in
      match c.input.[0] with
      | '+' -> simple (Word word)
      | ':' -> simple (Number (int_of_string word))
      | '-' -> simple (Failure word)
      | '$' when word = "-1" -> simple (Value None)
      | '$' ->
          let length = int_of_string word in
          if at + 2 + length + 2 > String.length c.input then None
          else
            let value = String.sub c.input (at + 2) length in
            c.input <- rest_from (at + 2 + length + 2);
            Some (Value (Some value))
      | _ -> failwith ("no reply: " ^ c.input))

let send c =
  match Unix.write_substring c.socket c.output 0 (min 65536 (String.length c.output)) with
  | sent -> c.output <- String.sub c.output sent (String.length c.output - sent)
  | exception Unix.Unix_error ((ECONNRESET | EPIPE | ETIMEDOUT | EHOSTUNREACH), _, _) ->
      c.is_open <- false

(* {1 Telling} *)

let keys = 200 (* of a connection *)

let tell address port file seconds connections depth =
  let history = load file in
  let last =
    ref
      (Hashtbl.fold
         (fun _ changes n -> List.fold_left (fun n c -> max n c.number) n changes)
         history 0)
  in
  let ended = ref false and answers = ref 0 in
  Sys.set_signal Sys.sigterm (Signal_handle (fun _ -> ended := true));
  Sys.set_signal Sys.sigpipe Signal_ignore;
  let deadline = Unix.gettimeofday () +. seconds in
  Random.init !last;
  let change c =
    incr last;
    let key = Printf.sprintf "%d.%d" c.name (Random.int keys) in
    let kind = if Random.int 8 = 0 then Delete else Set in
    let change = { number = !last; kind; answered = None } in
    (* In the books before it is on its way. *)
    Hashtbl.replace history key (change :: changes history key);
    Queue.add change c.waiting;
    c.output <-
      (c.output
      ^
      match kind with
      | Set -> request [ "SET"; key; value key !last ]
      | Delete -> request [ "DEL"; key ])
  in
  let rec answered c =
    match take c with
    | None -> ()
    | Some (Word "OK" | Number _) ->
        (Queue.pop c.waiting).answered <- Some (Unix.gettimeofday ());
        incr answers;
        answered c
    | Some (Failure word) ->
        (* Nothing is promised. *)
        ignore (Queue.pop c.waiting);
        prerr_endline word;
        answered c
    | Some (Word _ | Value _) -> failwith "another reply than was asked for"
  in
  let all = List.init connections (connect address port) in
  let rec go () =
    let all = List.filter (fun c -> c.is_open) all in
    if all <> [] && (not !ended) && Unix.gettimeofday () < deadline then (
      List.iter
        (fun c ->
          while Queue.length c.waiting < depth do
            change c
          done)
        all;
      let writers = List.filter (fun c -> c.output <> "") all in
      let sockets = List.map (fun c -> c.socket) in
      (match Unix.select (sockets all) (sockets writers) [] 0.2 with
      | readable, writable, _ ->
          let these list c = List.mem c.socket list in
          List.iter send (List.filter (these writable) writers);
          List.iter
            (fun c ->
              receive c;
              answered c)
            (List.filter (these readable) all)
      | exception Unix.Unix_error (EINTR, _, _) -> ());
      go ())
  in
  go ();
  store file history;
  Printf.printf "%d answered\n" !answers

(* {1 Checking} *)

(* The changes that may have survived, if answers after [late] count as none. *)
let rec possible late = function
  | [] -> []
  | ({ answered = Some time; _ } as change) :: _ when time < late -> [ change ]
  | change :: earlier -> change :: possible late earlier

let describe { number; kind; answered } =
  Printf.sprintf "%s %d (%s)"
    (match kind with Set -> "set" | Delete -> "delete")
    number
    (match answered with
    | None -> "not answered"
    | Some time -> Printf.sprintf "answered at %.6f" time)

let ask c words =
  c.output <- request words;
  while c.output <> "" && c.is_open do
    send c
  done;
  let rec wait () =
    match take c with
    | Some reply -> reply
    | None when not c.is_open -> failwith "the server has gone"
    | None ->
        receive c;
        wait ()
  in
  wait ()

let check address port file lenience =
  let history = load file in
  let c = connect address port 0 in
  let times =
    Hashtbl.fold (fun _ all list -> List.filter_map (fun c -> c.answered) all @ list) history []
  in
  let late = if lenience = 0. then infinity else List.fold_left max 0. times -. lenience in
  let wrong = ref 0 and after = Hashtbl.create 1000 in
  let look key all =
    let may = possible late all in
    let complain what =
      incr wrong;
      Printf.printf "%s: %s; expected one of: %s\n" key what
        (String.concat ", " (List.map describe may))
    in
    let keep change = Hashtbl.replace after key [ { change with answered = Some 0. } ] in
    match ask c [ "GET"; key ] with
    | Value None -> (
        match List.find_opt (fun c -> c.kind = Delete) may with
        | Some change -> keep change
        | None ->
            complain "it is not there";
            keep nothing)
    | Value (Some found) -> (
        let fits change = change.kind = Set && found = value key change.number in
        match (List.find_opt fits may, number_of found) with
        | Some change, _ -> keep change
        | None, Some number when found = value key number ->
            complain (Printf.sprintf "change %d came back" number);
            keep { number; kind = Set; answered = Some 0. }
        | None, _ ->
            complain
              (Printf.sprintf "%d bytes that were never sent: %S" (String.length found)
                 (String.sub found 0 (min 80 (String.length found)))))
    | Word word | Failure word -> complain ("the answer is " ^ word)
    | Number _ -> complain "the answer is a number"
  in
  Hashtbl.iter look history;
  store file after;
  Printf.printf "%d keys checked, %d differ\n" (Hashtbl.length history) !wrong;
  if !wrong > 0 then exit 1

let () =
  match Array.to_list Sys.argv |> List.tl with
  | [ "tell"; address; port; file; seconds; connections; depth ] ->
      tell address (int_of_string port) file (float_of_string seconds) (int_of_string connections)
        (int_of_string depth)
  | [ "check"; address; port; file; lenience ] ->
      check address (int_of_string port) file (float_of_string lenience)
  | _ ->
      prerr_endline
        "witness tell ADDRESS PORT HISTORY SECONDS CONNECTIONS DEPTH | check ADDRESS PORT HISTORY \
         LENIENCE";
      exit 2
