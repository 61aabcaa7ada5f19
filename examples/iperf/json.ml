type t =
  | Null
  | Bool of bool
  | Number of float
  | String of string
  | List of t list
  | Object of (string * t) list

exception Bad of string

let max_depth = 32

(* [at] is the position in [s]; every function leaves it after what it has read. *)
type input = { s : string; mutable at : int }

let fail input what = raise (Bad (Printf.sprintf "%s at byte %d" what input.at))
let peek input = if input.at < String.length input.s then input.s.[input.at] else '\000'
let skip input = input.at <- input.at + 1

let rec blank input =
  match peek input with
  | ' ' | '\t' | '\n' | '\r' ->
      skip input;
      blank input
  | _ -> ()

let expect input c = if peek input = c then skip input else fail input (Printf.sprintf "no %C" c)

let word input text value =
  String.iter (expect input) text;
  value

let number input =
  let start = input.at in
  let rec go () =
    match peek input with
    | '0' .. '9' | '-' | '+' | '.' | 'e' | 'E' ->
        skip input;
        go ()
    | _ -> ()
  in
  go ();
  match float_of_string_opt (String.sub input.s start (input.at - start)) with
  | Some x when Float.is_finite x -> Number x
  | Some _ | None -> fail input "no number"

let escape input =
  let c = peek input in
  skip input;
  match c with
  | '"' | '\\' | '/' -> c
  | 'b' -> '\b'
  | 'f' -> '\012'
  | 'n' -> '\n'
  | 'r' -> '\r'
  | 't' -> '\t'
  | 'u' -> (
      let digits =
        if input.at + 4 <= String.length input.s then String.sub input.s input.at 4 else ""
      in
      input.at <- input.at + 4;
      match int_of_string_opt ("0x" ^ digits) with
      | Some code when code < 0x100 && not (String.contains digits '_') -> Char.chr code
      | Some _ | None -> fail input "no character")
  | _ -> fail input "no escape"

let string input =
  expect input '"';
  let text = Buffer.create 16 in
  let rec go () =
    if input.at >= String.length input.s then fail input "no end of string";
    let c = peek input in
    skip input;
    match c with
    | '"' -> Buffer.contents text
    | '\\' ->
        Buffer.add_char text (escape input);
        go ()
    | c ->
        Buffer.add_char text c;
        go ()
  in
  go ()

(* The items between two brackets, separated by commas. *)
let sequence input close item =
  skip input;
  blank input;
  if peek input = close then (
    skip input;
    [])
  else
    let rec go items =
      let items = item () :: items in
      blank input;
      if peek input = ',' then (
        skip input;
        go items)
      else (
        expect input close;
        List.rev items)
    in
    go []

let rec value input depth =
  if depth > max_depth then fail input "too deep";
  blank input;
  match peek input with
  | '{' ->
      let member () =
        blank input;
        let name = string input in
        blank input;
        expect input ':';
        (name, value input (depth + 1))
      in
      Object (sequence input '}' member)
  | '[' -> List (sequence input ']' (fun () -> value input (depth + 1)))
  | '"' -> String (string input)
  | 't' -> word input "true" (Bool true)
  | 'f' -> word input "false" (Bool false)
  | 'n' -> word input "null" Null
  | _ -> number input

let parse s =
  let input = { s; at = 0 } in
  match
    let v = value input 0 in
    blank input;
    if input.at < String.length s then fail input "more than one value";
    v
  with
  | v -> Ok v
  | exception Bad what -> Error what

let quoted s =
  let text = Buffer.create (String.length s + 2) in
  Buffer.add_char text '"';
  String.iter
    (function
      | ('"' | '\\') as c ->
          Buffer.add_char text '\\';
          Buffer.add_char text c
      | c when c < ' ' -> Printf.bprintf text "\\u%04x" (Char.code c)
      | c -> Buffer.add_char text c)
    s;
  Buffer.add_char text '"';
  Buffer.contents text

let rec to_string = function
  | Null -> "null"
  | Bool b -> string_of_bool b
  | Number x when Float.is_integer x && Float.abs x < 1e15 -> Printf.sprintf "%.0f" x
  | Number x -> Printf.sprintf "%.6g" x
  | String s -> quoted s
  | List items -> "[" ^ String.concat "," (List.map to_string items) ^ "]"
  | Object members ->
      let member (name, v) = quoted name ^ ":" ^ to_string v in
      "{" ^ String.concat "," (List.map member members) ^ "}"

let member name = function
  | Object members -> Option.value (List.assoc_opt name members) ~default:Null
  | Null | Bool _ | Number _ | String _ | List _ -> Null
