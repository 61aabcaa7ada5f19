type t = {
  file : string;
  line : int;
  column : int;
  from : string;
  into : string;
  text : string;
  nth : int;
}

(* Each with what it becomes. A word must stand alone; of symbols the longest comes first. *)
let changes =
  [
    ("Seq.leq", [ "Seq.lt" ]);
    ("Seq.lt", [ "Seq.leq" ]);
    ("Seq.geq", [ "Seq.gt" ]);
    ("Seq.gt", [ "Seq.geq" ]);
    ("Seq.max", [ "Seq.min" ]);
    ("Seq.min", [ "Seq.max" ]);
    (" <= ", [ " < " ]);
    (" >= ", [ " > " ]);
    (" <> ", [ " = " ]);
    (" < ", [ " <= " ]);
    (" > ", [ " >= " ]);
    (" && ", [ " || " ]);
    (" || ", [ " && " ]);
    ("not ", [ "" ]);
    ("min ", [ "max " ]);
    ("max ", [ "min " ]);
    (" + 1)", [ ")" ]);
    ("<- true", [ "<- false" ]);
    ("<- false", [ "<- true" ]);
    ("Output.ack env c", [ "()" ]);
    ("Answer.repeat env c", [ "()" ]);
    ("Answer.challenge env c", [ "()" ]);
    ("Answer.odd env c", [ "()" ]);
    ("c.state <- Fin_wait_1", [ "c.state <- Close_wait" ]);
    ("c.state <- Fin_wait_2", [ "enter_time_wait env c" ]);
    ("c.state <- Closing", [ "enter_time_wait env c"; "c.state <- Last_ack" ]);
    ("c.state <- Close_wait", [ "c.state <- Last_ack" ]);
    ("c.state <- Last_ack", [ "c.state <- Closing" ]);
    ("enter_time_wait env c", [ "finish env c `Closed" ]);
    ("`Refused", [ "`Reset" ]);
    ("`Reset", [ "`Closed" ]);
    ("`Timeout", [ "`Closed" ]);
    ("max_int", [ "0" ]);
    ("second / 2", [ "second" ]);
    ("c.snd_una <-", [ "c.snd_wl2 <-" ]);
    (" lsl ", [ " lsr " ]);
  ]

let is_word c =
  match c with 'a' .. 'z' | 'A' .. 'Z' | '0' .. '9' | '_' | '\'' | '.' | '`' -> true | _ -> false

(* Comments and the insides of strings, as spaces: offsets stay. *)
let code text =
  let b = Bytes.of_string text in
  let n = String.length text in
  let blank i = if text.[i] <> '\n' then Bytes.set b i ' ' in
  let starts i s = i + String.length s <= n && String.sub text i (String.length s) = s in
  let rec plain i =
    if i < n then
      if starts i "(*" then comment i 0
      else if text.[i] = '"' then string (i + 1)
      else if starts i "'\"'" then plain (i + 3)
      else plain (i + 1)
  and comment i depth =
    if i < n then
      if starts i "(*" then (
        blank i;
        blank (i + 1);
        comment (i + 2) (depth + 1))
      else if starts i "*)" then (
        blank i;
        blank (i + 1);
        if depth = 1 then plain (i + 2) else comment (i + 2) (depth - 1))
      else (
        blank i;
        comment (i + 1) depth)
  and string i =
    if i < n then
      if text.[i] = '"' then plain (i + 1)
      else if text.[i] = '\\' && i + 1 < n then (
        blank i;
        blank (i + 1);
        string (i + 2))
      else (
        blank i;
        string (i + 1))
  in
  plain 0;
  Bytes.to_string b

let stands_alone line i from =
  let before = i = 0 || not (is_word line.[i - 1] && is_word from.[0]) in
  let stop = i + String.length from in
  let last = from.[String.length from - 1] in
  let after = stop >= String.length line || not (is_word line.[stop] && is_word last) in
  before && after

(* The change that begins at this column, if any. *)
let at line i =
  List.find_opt
    (fun (from, _) ->
      let n = String.length from in
      i + n <= String.length line && String.sub line i n = from && stands_alone line i from)
    changes

(* Types and patterns are not changed: `max_int` and constructors stand in expressions. *)
let is_pattern line from =
  from.[0] = '`'
  &&
  let trimmed = String.trim line in
  String.length trimmed > 1 && trimmed.[0] = '|' && String.length trimmed > 2 && trimmed.[2] = '`'

let of_line ~file ~line shown code =
  let counts = Hashtbl.create 4 in
  let rec go i acc =
    if i >= String.length code then List.rev acc
    else
      match at code i with
      | Some (from, intos) when not (is_pattern code from) ->
          let sites =
            List.map
              (fun into ->
                let key = (from, into) in
                let nth = 1 + Option.value (Hashtbl.find_opt counts key) ~default:0 in
                Hashtbl.replace counts key nth;
                { file; line; column = i; from; into; text = String.trim shown; nth })
              intos
          in
          go
            (i + String.length from - if from.[String.length from - 1] = ' ' then 1 else 0)
            (List.rev_append sites acc)
      | Some _ | None -> go (i + 1) acc
  in
  go 0 []

let all ~file text =
  let shown = String.split_on_char '\n' text and code = String.split_on_char '\n' (code text) in
  List.concat
    (List.mapi (fun i (s, c) -> of_line ~file ~line:(i + 1) s c) (List.combine shown code))

let apply t text =
  String.split_on_char '\n' text
  |> List.mapi (fun i s ->
         if i + 1 <> t.line then s
         else
           let stop = t.column + String.length t.from in
           String.sub s 0 t.column ^ t.into ^ String.sub s stop (String.length s - stop))
  |> String.concat "\n"

let name t = Printf.sprintf "%s:%s->%s#%d: %s" t.file t.from t.into t.nth t.text
