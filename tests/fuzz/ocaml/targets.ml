let view = Cstruct.of_string

(* The first byte says which parser gets the rest. *)
let wire bytes =
  if bytes <> "" then
    let all = Parsers.parsers in
    let _, parse = List.nth all (Char.code bytes.[0] mod List.length all) in
    parse (Parsers.inside (Cstruct.shift (view bytes) 1))

let tcp_engine bytes =
  let c = Choices.create bytes in
  Life.run ~steps:(min 150 (String.length bytes / 4)) (Choices.int c)

(* In pieces, cut where the first byte says: what a parser says must not depend on them. *)
let in_pieces bytes ~feed ~drain =
  if bytes <> "" then
    let cut = 1 + (Char.code bytes.[0] mod 32) in
    let rest = String.sub bytes 1 (String.length bytes - 1) in
    let whole = drain (feed [ rest ]) in
    let pieces =
      List.init
        ((String.length rest + cut - 1) / cut)
        (fun i -> String.sub rest (i * cut) (min cut (String.length rest - (i * cut))))
    in
    if drain (feed pieces) <> whole then failwith "it depends on the pieces"

let resp bytes =
  let feed pieces =
    let t = Resp.create () in
    List.iter (fun piece -> Resp.feed t (view piece)) pieces;
    t
  in
  let rec drain t =
    match Resp.next t with
    | `Request ->
        let words = Resp.words t in
        let letters =
          match words with
          | command :: _ when List.mem (String.length command) [ 3; 4 ] -> Resp.letters command
          | _ -> 0
        in
        if Resp.command t <> letters then failwith "another command";
        `Request words :: drain t
    | (`More | `Malformed _ | `Too_large) as last -> [ last ]
  in
  in_pieces bytes ~feed ~drain

let dns_server bytes =
  (* A server without zones fails and one with a body answers, whatever is asked. *)
  let ask lookup =
    let t = Server.create ~lookup () in
    List.iter
      (fun transport ->
        match Server.answer t transport (Parsers.inside (view bytes)) with
        | None -> ()
        | Some reply -> (
            if transport = `Udp && Cstruct.length reply > Reply.max_datagram then
              failwith "too long for a datagram";
            match Query.parse reply with
            | Nothing -> ()
            | Question _ | Malformed _ | Other _ -> failwith "an answer that asks for one"))
      [ `Udp; `Tcp; `Udp ]
  in
  ask (fun _ _ -> raise Not_found);
  let feed pieces =
    let t = Stream.create () in
    List.iter (fun piece -> Stream.feed t (view piece)) pieces;
    t
  in
  let rec drain t =
    match Stream.next t with
    | `More -> []
    | `Too_long -> [ "too long" ]
    | `Message m -> Cstruct.to_string m :: drain t
  in
  in_pieces bytes ~feed ~drain

let pages = Http.pages [ ("/", ("text/html", "page")) ]

let http bytes =
  match Http.parse bytes with
  | `More | `Bad -> ()
  | `Request (r, n) -> (
      if n <= 0 || n > String.length bytes then failwith "it takes what is not there";
      ignore (Http.respond pages r : Cstruct.t);
      match Http.parse (String.sub bytes 0 n) with
      | `Request (r', n') when r = r' && n = n' -> ()
      | `Request _ | `More | `Bad -> failwith "it depends on what follows")

let rec has_nan : Json.t -> bool = function
  | Number x -> Float.is_nan x
  | List l -> List.exists has_nan l
  | Object l -> List.exists (fun (_, v) -> has_nan v) l
  | Null | Bool _ | String _ -> false

let iperf bytes =
  match Json.parse bytes with
  | Error _ -> ()
  | Ok json -> (
      if has_nan json then failwith "not a number";
      match Json.parse (Json.to_string json) with
      | Error e -> failwith ("it cannot read what it writes: " ^ e)
      | Ok _ -> (
          match Protocol.parameters json with
          | Error _ -> ()
          | Ok p ->
              if p.streams < 1 || p.streams > 128 || p.block < 1 || p.block > 1 lsl 20 then
                failwith "parameters out of their bounds"))

let all =
  [
    ("wire", wire);
    ("tcp-engine", tcp_engine);
    ("dhcp", Lives.dhcp);
    ("resolver", Lives.resolver);
    ("reassembly", Lives.reassembly);
    ("ndp", Lives.ndp);
    ("stack", Lives.stack);
    ("resp", resp);
    ("dns-server", dns_server);
    ("http", http);
    ("iperf", iperf);
  ]
