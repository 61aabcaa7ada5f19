type request = { meth : string; target : string; keep_alive : bool }

let max_head = 8192

(* The end of a head. *)
let head_end text =
  let last = String.length text - 4 in
  let rec go i =
    if i > last then None
    else
      match String.index_from_opt text i '\r' with
      | Some i when i <= last ->
          if text.[i + 1] = '\n' && text.[i + 2] = '\r' && text.[i + 3] = '\n' then Some i
          else go (i + 1)
      | Some _ | None -> None
  in
  go 0

(* {1 Parts of the text}

   From [i] to before [stop]; nothing is copied until it is known to be wanted. *)

let rec find text c i stop = if i < stop && text.[i] <> c then find text c (i + 1) stop else i
let is_space c = c = ' ' || c = '\t' || c = '\r' || c = '\n' || c = '\012'
let rec skip text i stop = if i < stop && is_space text.[i] then skip text (i + 1) stop else i

let rec back text i stop =
  if i < stop && is_space text.[stop - 1] then back text i (stop - 1) else stop

(* Whether it is this word, given in lower case. *)
let is word text i stop =
  let rec same n = n < 0 || (Char.lowercase_ascii text.[i + n] = word.[n] && same (n - 1)) in
  stop - i = String.length word && same (stop - i - 1)

(* {1 A request}

   What others may take for something else is refused: behind a proxy, what it takes for a body would be somebody else's
   next request here (RFC 9112 section 11.2). *)

let is_token = function
  | 'a' .. 'z' | 'A' .. 'Z' | '0' .. '9' | '-' -> true
  | '!' | '#' | '$' | '%' | '&' | '\'' | '*' | '+' | '.' | '^' | '_' | '`' | '|' | '~' -> true
  | _ -> false

let rec token text i stop = if i < stop && is_token text.[i] then token text (i + 1) stop else i

let rec is_text text i stop =
  i >= stop
  || ((text.[i] >= ' ' || text.[i] = '\t') && text.[i] <> '\127' && is_text text (i + 1) stop)

type fields = {
  wrong : bool; (* there is a body, or a [Host] that is repeated or invalid *)
  host : bool;
  connection : [ `Close | `Keep_alive | `Unsaid ];
}

(* What a host's name or address and a port consist of (RFC 3986 section 3.2.2). *)
let is_host_char = function
  | 'a' .. 'z' | 'A' .. 'Z' | '0' .. '9' | '-' | '.' | '_' | '~' | '%' | ':' | '[' | ']' -> true
  | '!' | '$' | '&' | '\'' | '(' | ')' | '*' | '+' | ',' | ';' | '=' -> true
  | _ -> false

let rec is_host text i stop = i >= stop || (is_host_char text.[i] && is_host text (i + 1) stop)

(* Separated by commas. One that closes has the last word. *)
let rec options fields text i stop =
  if i >= stop then fields
  else
    let next = find text ',' i stop in
    let first = skip text i next in
    let last = back text first next in
    let connection =
      if is "close" text first last then `Close
      else if fields.connection = `Unsaid && is "keep-alive" text first last then `Keep_alive
      else fields.connection
    in
    options { fields with connection } text (next + 1) stop

let field fields text first colon value stop =
  if is "transfer-encoding" text first colon then { fields with wrong = true }
  else if is "content-length" text first colon then
    { fields with wrong = fields.wrong || not (is "0" text value stop) }
  else if is "host" text first colon then
    (* Of two, another program on the way may go by the other one (RFC 9112 section 3.2). *)
    let wrong = fields.wrong || fields.host || not (is_host text value stop) in
    { fields with wrong; host = true }
  else if is "connection" text first colon then options fields text value stop
  else fields

(* The lines after the one that ends at [i]. *)
let rec lines fields text i stop =
  if i >= stop then Some fields
  else
    let next = find text '\n' (i + 1) stop in
    let first = i + 1 and last = back text (i + 1) next in
    let colon = token text first last in
    (* Nor does a line go on in the next one. *)
    if colon = first || colon = last || text.[colon] <> ':' || not (is_text text colon last) then
      None
    else lines (field fields text first colon (skip text (colon + 1) last) last) text next stop

let head text stop =
  let next = find text '\n' 0 stop in
  let first = skip text 0 next in
  let last = back text first next in
  let space = find text ' ' first last in
  let second = find text ' ' (space + 1) last in
  let old = is "http/1.0" text (second + 1) last in
  if not (old || is "http/1.1" text (second + 1) last) then None
  else
    match lines { wrong = false; host = false; connection = `Unsaid } text next stop with
    | None | Some { wrong = true; _ } -> None
    | Some { host = false; _ } when not old -> None
    | Some { connection; _ } ->
        let path = find text '?' (space + 1) second in
        let keep_alive =
          match connection with `Close -> false | `Keep_alive -> true | `Unsaid -> not old
        in
        Some
          {
            meth = String.sub text first (space - first);
            target = String.sub text (space + 1) (path - space - 1);
            keep_alive;
          }

let parse text =
  match head_end text with
  | Some length when length <= max_head -> (
      match head text length with Some request -> `Request (request, length + 4) | None -> `Bad)
  | Some _ -> `Bad
  | None -> if String.length text > max_head then `Bad else `More

(* {1 An answer} *)

let head ?(more = "") ~keep_alive status (kind, content) =
  String.concat ""
    [
      "HTTP/1.1 ";
      status;
      more;
      "\r\nContent-Type: ";
      kind;
      "\r\nContent-Length: ";
      string_of_int (String.length content);
      (if keep_alive then "\r\nConnection: keep-alive\r\n\r\n" else "\r\nConnection: close\r\n\r\n");
    ]

(* The whole of it, and its head alone. *)
type answer = { whole : Cstruct.t; head : Cstruct.t }

let answer ?more ~keep_alive status page =
  let head = head ?more ~keep_alive status page in
  let whole = Cstruct.of_string (head ^ snd page) in
  { whole; head = Cstruct.sub whole 0 (String.length head) }

type page = { kept : answer; last : answer }
type pages = (string * page) list

let page page =
  { kept = answer ~keep_alive:true "200 OK" page; last = answer ~keep_alive:false "200 OK" page }

let pages = List.map (fun (path, contents) -> (path, page contents))
let plain text = ("text/plain", text ^ "\n")

let respond pages { meth; target; keep_alive } =
  let page = List.find_opt (fun (path, _) -> String.equal path target) pages in
  let answer =
    match (meth, page) with
    | ("GET" | "HEAD"), Some (_, { kept; last }) -> if keep_alive then kept else last
    | ("GET" | "HEAD"), None -> answer ~keep_alive "404 Not Found" (plain "no such page")
    | _, _ ->
        answer ~more:"\r\nAllow: GET, HEAD" ~keep_alive "405 Method Not Allowed"
          (plain "pages can only be read")
  in
  if meth = "HEAD" then answer.head else answer.whole

let bad_request = (answer ~keep_alive:false "400 Bad Request" (plain "not a request")).whole
