open Mirust_wire

type config = {
  timeout : int;
  tries : int;
  aliases : int;
  cache : int;
  in_flight : int;
  over_tcp : int;
  max_ttl : int;
}

let second = 1_000_000_000

let default =
  {
    timeout = 2 * second;
    tries = 5;
    aliases = 8;
    cache = 1024;
    in_flight = 256;
    over_tcp = 8;
    max_ttl = 3600;
  }

let addresses_per_entry = 6

type answer = Ipaddr.t list

type failure =
  [ `No_such_name
  | `No_address
  | `Timeout
  | `Server_failure
  | `Too_many_aliases
  | `Busy
  | `No_server ]

let pp_failure ppf (f : failure) =
  Fmt.string ppf
    (match f with
    | `No_such_name -> "no such name"
    | `No_address -> "no address of this kind"
    | `Timeout -> "no answer from any name server"
    | `Server_failure -> "every name server failed"
    | `Too_many_aliases -> "too many aliases"
    | `Busy -> "too many questions in flight"
    | `No_server -> "no name server")

type 'waiter action =
  | Ask of { server : Ipaddr.t; port : int; message : Cstruct.t }
  | Ask_tcp of { server : Ipaddr.t; port : int; message : Cstruct.t }
  | Release of int
  | Answer of { waiters : 'waiter list; result : (answer, failure) result }

(* Names compare without case. *)
type key = string * Dns.kind

type 'waiter question = {
  key : key;
  kind : Dns.kind;
  mutable name : Dns.name; (* the end of the alias chain so far *)
  mutable spelled : Dns.name; (* the same, in the letters that it was asked with *)
  mutable aliases : int;
  mutable ttl : int; (* the least of the chain, in seconds *)
  servers : Ipaddr.t array;
  mutable server : int;
  mutable tries : int;
  mutable failures : int; (* answers that were failures *)
  mutable id : int;
  mutable port : int;
  mutable tcp : bool;
  mutable at : int;
  mutable waiters : 'waiter list;
}

type entry = { result : (answer, failure) result; until : int }

type 'waiter t = {
  config : config;
  random : int -> int;
  is_free : int -> bool;
  cache : (key, entry) Hashtbl.t;
  mutable taken : int; (* of the cache *)
  questions : (key, 'waiter question) Hashtbl.t;
  ports : (int, 'waiter question) Hashtbl.t;
}

let create ?(config = default) ?(is_free = fun _ -> true) ~random () =
  {
    config;
    random;
    is_free;
    cache = Hashtbl.create 16;
    taken = 0;
    questions = Hashtbl.create 16;
    ports = Hashtbl.create 16;
  }

let pending t = Hashtbl.length t.questions
let cached t = Hashtbl.length t.cache
let key name kind = (Domain_name.to_string (Domain_name.canonical name), kind)

let size = function
  | Ok addresses -> 1 + (List.length addresses / addresses_per_entry)
  | Error _ -> 1

let forget t key e =
  Hashtbl.remove t.cache key;
  t.taken <- t.taken - size e.result

let lookup t ~now key =
  match Hashtbl.find_opt t.cache key with
  | Some e when now < e.until -> Some e.result
  | Some e ->
      forget t key e;
      None
  | None -> None

let rec forget_some t until =
  if t.taken > until then
    match Hashtbl.to_seq t.cache () with
    | Seq.Cons ((victim, e), _) ->
        forget t victim e;
        forget_some t until
    | Seq.Nil -> ()

(* Full: what has expired goes; if that is not enough, any entries do. *)
let make_room t ~now wanted =
  let until = t.config.cache - wanted in
  let keep _ e =
    if now < e.until then Some e
    else (
      t.taken <- t.taken - size e.result;
      None)
  in
  if t.taken > until then Hashtbl.filter_map_inplace keep t.cache;
  forget_some t until

let remember t ~now key result ttl =
  let limit =
    match result with Ok _ -> t.config.max_ttl | Error _ -> max 1 (t.config.max_ttl / 12)
  in
  let ttl = min ttl limit in
  let size = size result in
  if ttl > 0 && size <= t.config.cache then (
    make_room t ~now size;
    t.taken <- t.taken + size;
    Hashtbl.replace t.cache key { result; until = now + (ttl * second) })

(* Somebody else's port is not taken. Even if nearly all are in use, so many tries almost certainly find one. *)
let max_draws = 1000

let fresh_port t =
  let rec draw n =
    let port = 49152 + t.random 16384 in
    if Hashtbl.mem t.ports port || not (t.is_free port) then if n = 0 then None else draw (n - 1)
    else Some port
  in
  draw max_draws

(* Large and small letters by chance, which servers give back as they got them: a bit more for each letter
   that a forger has to guess. *)
let mix t name =
  let letter c = if t.random 2 = 0 then Char.lowercase_ascii c else Char.uppercase_ascii c in
  match Domain_name.of_strings (List.map (String.map letter) (Domain_name.to_strings name)) with
  | Ok mixed -> mixed
  | Error (`Msg _) -> name

(* A server that spells names its own way, or does not know EDNS (RFC 6891 section 7), gets a chance in the end. *)
let is_mixed t q = q.tries < t.config.tries - 2

let message t q =
  let payload_size = if is_mixed t q then Some 1232 else None in
  Dns.emit ?payload_size (Dns.query ~id:q.id q.spelled q.kind)

let spelled_as q name = Domain_name.to_strings name = Domain_name.to_strings q.spelled

let finish_without_port t q result =
  Hashtbl.remove t.questions q.key;
  Answer { waiters = List.rev q.waiters; result }

(* Every question has a port and an identifier of its own. *)
let ask t ~now q =
  match fresh_port t with
  | None -> finish_without_port t q (Error `Busy)
  | Some port ->
      q.id <- t.random 0x10000;
      q.port <- port;
      q.spelled <- (if is_mixed t q then mix t q.name else q.name);
      q.tcp <- false;
      q.at <- now + t.config.timeout;
      Hashtbl.replace t.ports port q;
      Ask { server = q.servers.(q.server); port; message = message t q }

let release t q =
  Hashtbl.remove t.ports q.port;
  Release q.port

let finish t q result =
  let released = release t q in
  [ released; finish_without_port t q result ]

let again t ~now q =
  q.tries <- q.tries + 1;
  if q.tries >= t.config.tries then
    finish t q (Error (if q.failures > 0 then `Server_failure else `Timeout))
  else
    let released = release t q in
    q.server <- (q.server + 1) mod Array.length q.servers;
    [ released; ask t ~now q ]

(* The server did answer. *)
let has_failed t ~now q =
  q.failures <- q.failures + 1;
  again t ~now q

let resolve t ~now ~servers name kind waiter =
  let key = key name kind in
  let answer result = [ Answer { waiters = [ waiter ]; result } ] in
  match (lookup t ~now key, Hashtbl.find_opt t.questions key, servers) with
  | Some result, _, _ -> answer result
  | None, Some q, _ ->
      q.waiters <- waiter :: q.waiters;
      []
  | None, None, [] -> answer (Error `No_server)
  | None, None, _ when Hashtbl.length t.questions >= t.config.in_flight -> answer (Error `Busy)
  | None, None, servers ->
      let q =
        {
          key;
          kind;
          name = Domain_name.raw name;
          spelled = Domain_name.raw name;
          aliases = 0;
          ttl = max_int;
          servers = Array.of_list servers;
          server = 0;
          tries = 0;
          failures = 0;
          id = 0;
          port = 0;
          tcp = false;
          at = max_int;
          waiters = [ waiter ];
        }
      in
      Hashtbl.replace t.questions key q;
      [ ask t ~now q ]

(* {1 Answers} *)

let addresses kind name answers =
  List.filter_map
    (fun (r : Dns.record) ->
      if not (Domain_name.equal r.name name) then None
      else
        match (r.data, kind) with
        | Address a, Dns.A -> Some (Ipaddr.V4 a, r.ttl)
        | Address6 a, Dns.Aaaa -> Some (Ipaddr.V6 a, r.ttl)
        | (Address _ | Address6 _ | Alias _ | Authority _ | Other _), (Dns.A | Dns.Aaaa) -> None)
    answers

let alias name answers =
  List.find_map
    (fun (r : Dns.record) ->
      match r.data with
      | Alias target when Domain_name.equal r.name name -> Some (target, r.ttl)
      | Alias _ | Address _ | Address6 _ | Authority _ | Other _ -> None)
    answers

let negative_ttl (m : Dns.t) =
  List.find_map
    (fun (r : Dns.record) ->
      match r.data with
      | Authority { minimum } -> Some (min minimum r.ttl)
      | Address _ | Address6 _ | Alias _ | Other _ -> None)
    m.authority

(* Follows the chain of aliases as far as the message has it. Only records of names on the chain count:
   whatever else a server says is not believed. *)
let rec follow t ~now q (m : Dns.t) =
  match addresses q.kind q.name m.answers with
  | _ :: _ as found ->
      let ttl = List.fold_left (fun ttl (_, n) -> min ttl n) q.ttl found in
      let result = Ok (List.map fst found) in
      remember t ~now q.key result ttl;
      finish t q result
  | [] -> (
      match alias q.name m.answers with
      | Some (target, ttl) ->
          q.aliases <- q.aliases + 1;
          q.name <- target;
          q.ttl <- min q.ttl ttl;
          if q.aliases > t.config.aliases then finish t q (Error `Too_many_aliases)
          else follow t ~now q m
      | None ->
          (* At the end of what the message says: of the name that was asked, this is the answer; of
             another, it may have to be asked itself. *)
          let asked, _ = m.question in
          let denies = m.rcode = 3 || Domain_name.equal asked q.name || negative_ttl m <> None in
          (* What could not be read may have been the answer. *)
          if denies && m.damaged then has_failed t ~now q
          else if denies then (
            let failure = if m.rcode = 3 then `No_such_name else `No_address in
            let result = Error failure in
            Option.iter (fun ttl -> remember t ~now q.key result (min ttl q.ttl)) (negative_ttl m);
            finish t q result)
          else
            let released = release t q in
            q.tries <- 0;
            [ released; ask t ~now q ])

let same_question t q (name, kind) =
  kind = q.kind
  && if is_mixed t q && not q.tcp then spelled_as q name else Domain_name.equal name q.name

let input t ~now ~server ~port b =
  (* Before it is read: a stranger's costs nothing. *)
  let expected q = Ipaddr.compare server q.servers.(q.server) = 0 in
  match Hashtbl.find_opt t.ports port with
  | None -> []
  | Some q when not (expected q) -> []
  | Some q -> (
      match Dns.parse b with
      | Error _ -> []
      | Ok m when (not m.response) || m.id <> q.id || not (same_question t q m.question) -> []
      | Ok m -> (
          match m.rcode with
          | (0 | 3) when m.truncated && not q.tcp ->
              q.tcp <- true;
              q.at <- now + (2 * t.config.timeout);
              [ Ask_tcp { server; port; message = message t q } ]
          | (0 | 3) when m.truncated -> has_failed t ~now q
          | 0 | 3 -> follow t ~now q m
          | _ -> has_failed t ~now q))

let failed t ~now ~port =
  match Hashtbl.find_opt t.ports port with
  | Some q when q.tcp -> again t ~now q
  | Some _ | None -> []

let asks_over_tcp t ~port =
  match Hashtbl.find_opt t.ports port with Some q -> q.tcp | None -> false

let next t =
  match Hashtbl.fold (fun _ q at -> min at q.at) t.questions max_int with
  | at when at = max_int -> None
  | at -> Some at

let tick t ~now =
  let due = Hashtbl.fold (fun _ q l -> if q.at <= now then q :: l else l) t.questions [] in
  List.concat_map (again t ~now) due
