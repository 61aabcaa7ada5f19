type t = {
  lookup : string -> int -> string;
  cache : (string * int, Reply.body) Hashtbl.t; (* by the name in lower case, and the type *)
  mutable memory : int;
  mutable held : int;
  mutable failures : int;
  mutable longest : int; (* answer over TCP *)
}

(* Of a response. *)
let usual = 4096

let create ?(memory = 1 lsl 20) ~lookup () =
  {
    lookup;
    cache = Hashtbl.create ~random:true 256;
    memory;
    held = 0;
    failures = 0;
    longest = usual;
  }

let set_memory t memory = t.memory <- memory
let held t = t.held
let longest t = t.longest

(* The record, the pair, the bucket and its slot in a table that grows by doubling. *)
let overhead = 240
let size name (body : Reply.body) = overhead + String.length name + Reply.size body
let class_internet = 1
let class_any = 255

(* IXFR and AXFR. *)
let is_transfer kind = kind = 251 || kind = 252

(* Any client can provoke this warning: logged the first few times, then each time their number has doubled. *)
let complain t e =
  t.failures <- t.failures + 1;
  let n = t.failures in
  if n <= 8 || n land (n - 1) = 0 then
    Logs.err (fun m -> m "a lookup failed: %s (failure %d)" (Printexc.to_string e) n)

let ask t (q : Query.question) =
  let name = String.lowercase_ascii q.name in
  match Hashtbl.find_opt t.cache (name, q.kind) with
  | Some body -> body
  | None -> (
      match Reply.body ~name (t.lookup name q.kind) with
      | body ->
          let size = size name body in
          (* Made-up names come and go; names that are asked for often are soon back. *)
          if t.held + size > t.memory then (
            Hashtbl.reset t.cache;
            t.held <- 0);
          if size <= t.memory then (
            Hashtbl.replace t.cache (name, q.kind) body;
            t.held <- t.held + size);
          body
      | exception e ->
          complain t e;
          Reply.empty ~rcode:Reply.server_failure)

let body t (q : Query.question) (edns : Query.edns option) =
  match edns with
  | Some { version; _ } when version > 0 -> Reply.empty ~rcode:Reply.bad_version
  | Some _ | None ->
      if (q.class_ <> class_internet && q.class_ <> class_any) || is_transfer q.kind then
        Reply.empty ~rcode:Reply.refused
      else ask t q

(* RFC 6891 section 6.2.5: at least the traditional 512 bytes. *)
let limit transport (edns : Query.edns option) =
  match (transport, edns) with
  | `Tcp, _ -> 0xffff
  | `Udp, None -> 512
  | `Udp, Some { size; _ } -> min Reply.max_datagram (max 512 size)

let answer t transport b =
  match Query.parse b with
  | Nothing -> None
  | Malformed header -> Some (Reply.failure header ~rcode:Reply.format_error)
  | Other header -> Some (Reply.failure header ~rcode:Reply.not_implemented)
  | Question (header, question, edns) ->
      let limit = limit transport edns in
      let message = Reply.message ~limit header question edns (body t question edns) in
      if transport = `Tcp then t.longest <- max t.longest (Cstruct.length message);
      Some message
