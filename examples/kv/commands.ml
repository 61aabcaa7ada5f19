(* What each command does, but for those that are answered where they arrive (GET and SET, in main.ml) and those that
   end the connection or wait for the disk. *)

open Client
open Reply

(* Whether a word, in whatever letters, is one of those. *)
let is_any words word = List.mem (String.uppercase_ascii word) words

(* {1 What is told} *)

let no_users = "there are neither users nor passwords here"
let unknown b what = error b (Printf.sprintf "unknown %s" what)

let arity b command =
  error b
    (Printf.sprintf "wrong number of arguments for '%s' command" (String.lowercase_ascii command))

let settings store =
  [
    ("appendfsync", Settings.appendfsync ());
    ("appendonly", if Option.is_some (Settings.disk ()) then "yes" else "no");
    ("databases", "1");
    ("maxmemory", string_of_int (Store.max_memory store));
    ("port", string_of_int Settings.port);
    ("save", "");
  ]

(* Names and values, one after the other. *)
let pairs b found =
  array b (2 * List.length found);
  List.iter
    (fun (name, value) ->
      bulk b (Some name);
      bulk b (Some value))
    found

(* Of patterns there is one, that for all: to others the answer would not be that there is nothing. *)
let config_get b store names =
  let is_pattern name = name <> "*" && String.exists (String.contains "*?[\\") name in
  let wanted setting name = name = "*" || String.lowercase_ascii name = setting in
  if List.exists is_pattern names then error b "of patterns CONFIG GET knows only *"
  else
    pairs b (List.filter (fun (setting, _) -> List.exists (wanted setting) names) (settings store))

let sections c =
  let store = c.memory.store in
  let keys = Store.length store in
  [
    ( "Server",
      Printf.sprintf
        "server_name:mirust-kv\r\nredis_mode:standalone\r\ntcp_port:%d\r\nuptime_in_seconds:%Ld\r\n"
        Settings.port
        (Int64.div (Mirust.Mclock.elapsed_ns ()) 1_000_000_000L) );
    ("Clients", Printf.sprintf "connected_clients:%d\r\n" (Places.taken (Lazy.force places)));
    ( "Memory",
      Printf.sprintf "used_memory:%d\r\nmaxmemory:%d\r\n" (Store.used_memory store)
        (Store.max_memory store) );
    ("Persistence", Store.persistence store);
    ("Keyspace", if keys = 0 then "" else Printf.sprintf "db0:keys=%d,expires=0,avg_ttl=0\r\n" keys);
  ]

let info c wanted =
  let is_wanted (name, _) =
    List.mem wanted [ "all"; "default"; "everything" ] || String.lowercase_ascii name = wanted
  in
  let text (name, lines) = Printf.sprintf "# %s\r\n%s" name lines in
  String.concat "\r\n" (List.map text (List.filter is_wanted (sections c)))

let hello c =
  let b = c.replies in
  array b 14;
  List.iter
    (fun (name, value) ->
      bulk b (Some name);
      value ())
    [
      ("server", fun () -> bulk b (Some "mirust-kv"));
      ("version", fun () -> bulk b (Some "0"));
      ("proto", fun () -> integer b 2);
      ("id", fun () -> integer b c.id);
      ("mode", fun () -> bulk b (Some "standalone"));
      ("role", fun () -> bulk b (Some "master"));
      ("modules", fun () -> array b 0);
    ]

let longest_name = 64

(* Names it, and goes on to the answer. *)
let name_client c name answer =
  if String.length name > longest_name then error c.replies "the name is too long"
  else (
    c.name <- name;
    answer c.replies)

(* What clients send when they start: only what is true is confirmed. *)
let client c subcommand arguments =
  let b = c.replies in
  match (String.uppercase_ascii subcommand, arguments) with
  | "ID", [] -> integer b c.id
  | "GETNAME", [] -> bulk b (if c.name = "" then None else Some c.name)
  | "SETNAME", [ name ] -> name_client c name ok
  (* Nobody can ask for it, so that it need not be kept. *)
  | "SETINFO", [ what; _ ] when is_any [ "LIB-NAME"; "LIB-VER" ] what -> ok b
  (* When a key was last used is noted for no client. *)
  | "NO-TOUCH", [ mode ] when is_any [ "ON"; "OFF" ] mode -> ok b
  | "NO-EVICT", [ mode ] when is_any [ "OFF" ] mode -> ok b
  | "NO-EVICT", [ mode ] when is_any [ "ON" ] mode ->
      error b "any client may have to make room for others here"
  | _ -> unknown b (Printf.sprintf "subcommand or arguments of CLIENT: '%s'" (shown subcommand))

(* HELLO's arguments behind the version. *)
let rec hello_with c name = function
  | [] -> ( match name with None -> hello c | Some name -> name_client c name (fun _ -> hello c))
  | option :: rest -> (
      match (String.uppercase_ascii option, rest) with
      | "SETNAME", name :: rest -> hello_with c (Some name) rest
      | "AUTH", _ :: _ :: _ -> error c.replies no_users
      | _ -> error c.replies ("syntax error in HELLO option '" ^ shown option ^ "'"))

(* {1 The store} *)

let count f keys = List.length (List.filter f keys)

let add c key by ~down =
  match Store.increment c.memory.store key by down with
  | Ok n -> integer64 c.replies n
  | Error e -> failure c.replies e

let rec delete b store n = function
  | [] -> integer b n
  | key :: keys -> (
      match Store.delete store key with
      | Ok existed -> delete b store (n + Bool.to_int existed) keys
      | Error e -> failure b e)

let set c key value =
  let n = String.length key in
  (* Nobody writes to it. *)
  put c (Bytes.unsafe_of_string (key ^ value)) 0 n n (String.length value)

(* The options of SET that have a meaning without expiry. *)
let rec set_if c key value ~only = function
  | [] -> (
      let exists = Store.size c.memory.store key >= 0 in
      match only with
      | Some wanted when wanted <> exists -> bulk c.replies None
      | Some _ | None -> set c key value)
  | option :: rest -> (
      match (String.uppercase_ascii option, only) with
      | "NX", None -> set_if c key value ~only:(Some false) rest
      | "XX", None -> set_if c key value ~only:(Some true) rest
      | "KEEPTTL", _ -> set_if c key value ~only rest
      | ("EX" | "PX" | "EXAT" | "PXAT"), _ -> error c.replies "keys do not expire here"
      | _ -> error c.replies "syntax error")

let start_rewrite b store words =
  match Store.rewrite store with
  | Ok true -> simple b (words ^ " started")
  | Ok false -> error b "the log is being written anew already"
  | Error e -> error b e

(* {1 All of them} *)

(* Commands that change the store. *)
let writes = [ "DEL"; "UNLINK"; "INCR"; "DECR"; "INCRBY"; "DECRBY"; "FLUSHALL"; "FLUSHDB"; "SET" ]

let known =
  writes
  @ [ "GET"; "MGET"; "EXISTS"; "STRLEN"; "TYPE"; "TTL"; "PTTL"; "DBSIZE"; "PING"; "ECHO"; "QUIT" ]
  @ [ "MULTI"; "EXEC"; "DISCARD"; "SAVE"; "BGSAVE"; "BGREWRITEAOF"; "LASTSAVE"; "INFO" ]
  @ [ "HELLO"; "AUTH"; "CLIENT"; "COMMAND"; "CONFIG"; "SELECT"; "RESET" ]

let execute c command arguments =
  let b = c.replies and store = c.memory.store in
  match (command, arguments) with
  | "GET", [ key ] -> c.wanted <- [ key ]
  | "SET", key :: value :: options -> set_if c key value ~only:None options
  | "MGET", (_ :: _ as keys) ->
      array b (List.length keys);
      c.wanted <- keys
  | ("DEL" | "UNLINK"), (_ :: _ as keys) -> delete b store 0 keys
  | "EXISTS", (_ :: _ as keys) -> integer b (count (fun key -> Store.size store key >= 0) keys)
  | "STRLEN", [ key ] -> integer b (Int.max 0 (Store.size store key))
  | "TYPE", [ key ] -> simple b (if Store.size store key >= 0 then "string" else "none")
  (* Keys do not expire. *)
  | ("TTL" | "PTTL"), [ key ] -> integer b (if Store.size store key >= 0 then -1 else -2)
  | "INCR", [ key ] -> add c key "1" ~down:false
  | "DECR", [ key ] -> add c key "1" ~down:true
  | "INCRBY", [ key; by ] -> add c key by ~down:false
  | "DECRBY", [ key; by ] -> add c key by ~down:true
  | "DBSIZE", [] -> integer b (Store.length store)
  | ("FLUSHALL" | "FLUSHDB"), ([] | [ _ ]) when List.for_all (is_any [ "ASYNC"; "SYNC" ]) arguments
    -> (
      match Store.clear store with Ok () -> ok b | Error e -> failure b e)
  | ("FLUSHALL" | "FLUSHDB"), _ -> error b "syntax error"
  | "BGREWRITEAOF", [] -> start_rewrite b store "Background append only file rewriting"
  | "BGSAVE", ([] | [ _ ]) when List.for_all (is_any [ "SCHEDULE" ]) arguments ->
      start_rewrite b store "Background saving"
  | "BGSAVE", _ -> error b "syntax error"
  | "LASTSAVE", [] -> integer b (Store.saved_at store)
  | "INFO", [] -> bulk b (Some (info c "default"))
  | "INFO", [ section ] -> bulk b (Some (info c (String.lowercase_ascii section)))
  | "PING", [] -> simple b "PONG"
  | ("PING" | "ECHO"), [ s ] -> bulk b (Some s)
  | "HELLO", [] -> hello c
  | "HELLO", "2" :: options -> hello_with c None options
  | "HELLO", _ -> failure b "NOPROTO only version 2 of the protocol is spoken here"
  | "AUTH", _ :: _ -> error b no_users
  | "CLIENT", subcommand :: arguments -> client c subcommand arguments
  | "COMMAND", [ subcommand ] when is_any [ "COUNT" ] subcommand -> integer b (List.length known)
  (* Of none there is anything to tell. *)
  | "COMMAND", [] -> array b 0
  | "COMMAND", subcommand :: _ when is_any [ "DOCS"; "INFO" ] subcommand -> array b 0
  | "COMMAND", subcommand :: _ ->
      unknown b (Printf.sprintf "subcommand or arguments of COMMAND: '%s'" (shown subcommand))
  | "CONFIG", subcommand :: (_ :: _ as names) when is_any [ "GET" ] subcommand ->
      config_get b store names
  | "CONFIG", _ :: _ ->
      error b "the configuration is the command line's, and can only be read: CONFIG GET"
  | "SELECT", [ "0" ] -> ok b
  | "SELECT", [ _ ] -> error b "DB index is out of range: there is one, 0"
  | _ when List.mem command known -> arity b command
  | _ -> unknown b (Printf.sprintf "command '%s'" (shown command))

(* The same, but for changes, which are refused once the disk has failed. *)
let run c command arguments =
  if not (List.mem command writes) then execute c command arguments
  else if Store.has_failed c.memory.store then refuse_change c
  else (
    c.changed <- true;
    execute c command arguments)

(* Nobody else has a turn between the commands of a transaction. *)
let request c command arguments =
  let b = c.replies in
  match (command, arguments, c.transaction) with
  | "MULTI", [], None ->
      if Pool.try_take c.memory.requests Transaction.most then (
        c.transaction <- Some (Transaction.create ());
        ok b)
      else failure b "OOM too many transactions at a time"
  | "MULTI", [], Some _ -> error b "MULTI calls can not be nested"
  | ("EXEC" | "DISCARD"), [], None -> error b (command ^ " without MULTI")
  | "DISCARD", [], Some _ ->
      end_transaction c;
      ok b
  | "RESET", [], _ ->
      end_transaction c;
      c.name <- "";
      simple b "RESET"
  | "EXEC", [], Some t -> (
      end_transaction c;
      match Transaction.commands t with
      | None -> failure b "EXECABORT Transaction discarded because of previous errors."
      | Some commands ->
          array b (List.length commands);
          List.iter (fun words -> run c (List.hd words) (List.tl words)) commands)
  | _, _, Some t -> (
      match Transaction.add t (command :: arguments) with
      | Ok () -> simple b "QUEUED"
      | Error e -> error b e)
  | _, _, None -> run c command arguments
