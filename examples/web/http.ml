type request = { meth : string; target : string; keep_alive : bool }

let max_head = 8192

(* Where a head ends. *)
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

(* Names are lowered, values trimmed. *)
let field line =
  match String.index_opt line ':' with
  | Some i when i > 0 ->
      let value = String.sub line (i + 1) (String.length line - i - 1) in
      Some (String.lowercase_ascii (String.sub line 0 i), String.trim value)
  | Some _ | None -> None

let has_body fields =
  List.mem_assoc "transfer-encoding" fields
  || match List.assoc_opt "content-length" fields with Some "0" | None -> false | Some _ -> true

let head text =
  match List.map String.trim (String.split_on_char '\n' text) with
  | [] -> None
  | first :: rest -> (
      let fields = List.map field rest in
      if List.mem None fields then None
      else
        let fields = List.filter_map Fun.id fields in
        match String.split_on_char ' ' first with
        | [ meth; target; (("HTTP/1.1" | "HTTP/1.0") as version) ] when not (has_body fields) ->
            let target = List.hd (String.split_on_char '?' target) in
            let keep_alive =
              match Option.map String.lowercase_ascii (List.assoc_opt "connection" fields) with
              | Some "close" -> false
              | Some "keep-alive" -> true
              | Some _ | None -> version = "HTTP/1.1"
            in
            Some { meth; target; keep_alive }
        | _ -> None)

let parse text =
  match head_end text with
  | Some length when length <= max_head -> (
      match head (String.sub text 0 length) with
      | Some request -> `Request (request, length + 4)
      | None -> `Bad)
  | Some _ -> `Bad
  | None -> if String.length text > max_head then `Bad else `More

let answer ?(more = []) ~keep_alive ~body status (kind, content) =
  let fields =
    more
    @ [
        "Content-Type: " ^ kind;
        Printf.sprintf "Content-Length: %d" (String.length content);
        ("Connection: " ^ if keep_alive then "keep-alive" else "close");
      ]
  in
  let head = String.concat "\r\n" (("HTTP/1.1 " ^ status) :: fields) in
  head ^ "\r\n\r\n" ^ if body then content else ""

let plain text = ("text/plain", text ^ "\n")

let respond pages { meth; target; keep_alive } =
  let answer = answer ~keep_alive in
  match (meth, List.assoc_opt target pages) with
  | ("GET" | "HEAD"), Some page -> answer ~body:(meth = "GET") "200 OK" page
  | ("GET" | "HEAD"), None -> answer ~body:(meth = "GET") "404 Not Found" (plain "no such page")
  | _, _ ->
      answer ~more:[ "Allow: GET, HEAD" ] ~body:true "405 Method Not Allowed"
        (plain "pages can only be read")

let bad_request = answer ~keep_alive:false ~body:true "400 Bad Request" (plain "not a request")
