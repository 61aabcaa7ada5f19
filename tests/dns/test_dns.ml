(* The protocol of examples/dns: what goes in and comes out, in bytes. What the zones say is tested in
   src/. *)

let case name f = Alcotest.test_case name `Quick f
let check_int = Alcotest.(check int)
let check_bool = Alcotest.(check bool)

(* Bytes in hexadecimal; what is between quotes stands for itself. *)
let bytes text =
  let b = Buffer.create 64 in
  List.iteri
    (fun i part ->
      if i land 1 = 1 then Buffer.add_string b part
      else Buffer.add_string b (Cstruct.to_string (Cstruct.of_hex part)))
    (String.split_on_char '\'' text);
  Buffer.contents b

let hex b = Fmt.str "%a" Cstruct.hexdump_pp b

let check_bytes what expected found =
  Alcotest.(check string) what (hex (Cstruct.of_string (bytes expected))) (hex found)

let www = bytes "03'www'07'example'03'org'00"
let apex = bytes "07'example'03'org'00"

(* A query as dig sends it. *)
let header = "1234 0100 0001 0000 0000 000"
let question = "03'wWw'07'eXample'03'org'00 0001 0001"
let plain = header ^ "0" ^ question

let opt ?(size = "04d0") ?(version = "00") ?(flags = "8000") () =
  "00 0029" ^ size ^ "00" ^ version ^ flags ^ "0000"

let extended = header ^ "1" ^ question ^ opt ()

(* {1 Requests} *)

let parse text = Query.parse (Cstruct.of_string (bytes text))

let requests () =
  (match parse plain with
  | Question ({ id = 0x1234; opcode = 0; recursion_desired = true }, q, None) ->
      Alcotest.(check string) "in the letters that came" "\003wWw\007eXample\003org\000" q.name;
      check_int "type" 1 q.kind;
      check_int "class" 1 q.class_
  | _ -> Alcotest.fail "a plain query");
  match parse extended with
  | Question (_, _, Some { size = 1232; version = 0; dnssec_ok = true }) -> ()
  | _ -> Alcotest.fail "an extended query"

let other_records_are_stepped_over () =
  let record = "c00c 0001 0001 00000000 0004 c0000201" in
  match parse ("1234 0100 0001 0001 0001 0002" ^ question ^ record ^ record ^ record ^ opt ()) with
  | Question (_, _, Some { size = 1232; _ }) -> ()
  | _ -> Alcotest.fail "records before the OPT record"

let nothing () =
  let is_nothing what b = check_bool what true (Query.parse b = Nothing) in
  for n = 0 to 11 do
    is_nothing "short" (Cstruct.of_string (String.sub (bytes plain) 0 n))
  done;
  is_nothing "a response" (Cstruct.of_string (bytes ("1234 8100 0001 0000 0000 0000" ^ question)))

let malformed () =
  let long = String.concat "" (List.init 4 (fun _ -> "3f'" ^ String.make 63 'a' ^ "'")) in
  List.iter
    (fun (what, text) ->
      match parse text with
      | Malformed { id = 0x1234; _ } -> ()
      | Question _ | Other _ | Nothing | Malformed _ -> Alcotest.failf "%s is accepted" what)
    [
      ("no question", "1234 0100 0000 0000 0000 0000");
      ("two questions", "1234 0100 0002 0000 0000 0000" ^ question ^ question);
      ("a pointer to itself", header ^ "0 c00c 0001 0001");
      ("a pointer to the header", header ^ "0 c000 0001 0001");
      ("a pointer ahead", header ^ "0 01'a' c010 00 0001 0001");
      ("half a pointer", header ^ "0 c0");
      ("a label of a reserved kind", header ^ "0 41'a'00 0001 0001");
      ("a name of 256 bytes", header ^ "0" ^ long ^ "00 0001 0001");
      ("no type", header ^ "0 00");
      ("half a class", header ^ "0 00 0001 00");
      ("a record that is not there", header ^ "1" ^ question);
      ("two OPT records", "1234 0100 0001 0000 0000 0002" ^ question ^ opt () ^ opt ());
      ("an OPT record with a name", header ^ "1" ^ question ^ "c00c 0029 04d0 00000000 0000");
      ("a record longer than the message", header ^ "1" ^ question ^ "00 0029 04d0 00000000 0001");
      ("more records than there are", "1234 0100 0001 ffff ffff ffff" ^ question ^ opt ());
    ]

let other_operations () =
  match parse ("1234 2800 0001 0000 0000 0000" ^ question) with
  | Other { opcode = 5; _ } -> ()
  | _ -> Alcotest.fail "an update"

(* {1 Responses} *)

(* What Rust gives: AA; one answer, one authority, one additional record. *)
let found =
  bytes
    ("0400 0001 0001 0001"
   ^ "03'www'07'example'03'org'00 0005 0001 00000e10 0012 04'MAIL'07'example'03'org'00"
   ^ "07'example'03'org'00 0006 0001 0000012c 0037"
   ^ "03'ns1'07'example'03'org'00 04'host'07'example'03'org'00"
   ^ "00000001 00000002 00000003 00000004 00000005"
   ^ "04'mail'07'example'03'org'00 0001 0001 00000e10 0004 c0000219")

let compressed =
  "c00c 0005 0001 00000e10 0007 04'MAIL'c010"
  ^ "c010 0006 0001 0000012c 0021 03'ns1'c010 04'host'c010"
  ^ "00000001 00000002 00000003 00000004 00000005"

let glue = "c02d 0001 0001 00000e10 0004 c0000219"
let asked = { Query.name = "\003wWw\007eXample\003org\000"; kind = 1; class_ = 1 }
let h = { Query.id = 0x1234; opcode = 0; recursion_desired = true }
let edns = Some { Query.size = 1232; version = 0; dnssec_ok = true }

let names_are_compressed () =
  let message = Reply.message ~limit:512 h asked None (Reply.body ~name:www found) in
  check_bytes "the whole message"
    ("1234 8500 0001 0001 0001 0001" ^ question ^ compressed ^ glue)
    message

let not_in_the_data_of_newer_types () =
  let srv = "0021 0001 0000003c 0017 0000 0005 0050 03'www'07'example'03'org'00" in
  let body = Reply.body ~name:apex (bytes ("0400 0001 0000 0000 07'example'03'org'00" ^ srv)) in
  check_bytes "SRV"
    ("1234 8500 0001 0001 0000 0000 07'example'03'org'00 0021 0001 c00c" ^ srv)
    (Reply.message ~limit:512 h { name = apex; kind = 33; class_ = 1 } None body)

let extension_is_answered () =
  check_bytes "with an OPT record"
    ("1234 8500 0001 0001 0001 0002" ^ question ^ compressed ^ glue ^ "00 0029 04d0 00 00 8000 0000")
    (Reply.message ~limit:512 h asked edns (Reply.body ~name:www found));
  check_bytes "a version that is not known"
    ("1234 8100 0001 0000 0000 0001" ^ question ^ "00 0029 04d0 01 00 8000 0000")
    (Reply.message ~limit:512 h asked edns (Reply.empty ~rcode:Reply.bad_version))

let what_does_not_fit () =
  let body = Reply.body ~name:www found in
  let whole = Cstruct.length (Reply.message ~limit:512 h asked None body) in
  check_bytes "without what is additional"
    ("1234 8500 0001 0001 0001 0000" ^ question ^ compressed)
    (Reply.message ~limit:(whole - 1) h asked None body);
  check_bytes "truncated"
    ("1234 8700 0001 0000 0000 0000" ^ question)
    (Reply.message ~limit:(whole - 17) h asked None body);
  (* Room for what is required, but not for the OPT record besides. *)
  check_bytes "truncated, extended"
    ("1234 8700 0001 0000 0000 0001" ^ question ^ "00 0029 04d0 00 00 8000 0000")
    (Reply.message ~limit:(whole - 16 + 10) h asked edns body)

(* The addresses of somebody else's servers are not left out in silence. *)
let a_referral_is_whole () =
  let referral = Bytes.of_string found in
  Bytes.set_uint16_be referral 0 0;
  let body = Reply.body ~name:www (Bytes.to_string referral) in
  let whole = Cstruct.length (Reply.message ~limit:512 h asked None body) in
  check_bytes "truncated"
    ("1234 8300 0001 0000 0000 0000" ^ question)
    (Reply.message ~limit:(whole - 1) h asked None body)

(* {1 The server} *)

let server () =
  let asked = ref 0 in
  let lookup name kind =
    incr asked;
    if kind = 16 then failwith "the zone is broken";
    if name = www then found else bytes "0005 0000 0000 0000"
  in
  (Server.create ~memory:100_000 ~lookup (), asked)

let answer server ?(transport = `Udp) text =
  Server.answer server transport (Cstruct.of_string (bytes text))

let check_answer what expected found =
  match found with
  | None -> Alcotest.failf "%s: no answer" what
  | Some b -> check_bytes what expected b

let each_request_has_its_answer () =
  let server, _ = server () in
  check_answer "found"
    ("1234 8500 0001 0001 0001 0001" ^ question ^ compressed ^ glue)
    (answer server plain);
  check_answer "malformed" "1234 8101 0000 0000 0000 0000"
    (answer server "1234 0100 0000 0000 0000 0000");
  check_answer "an update" "1234 a804 0000 0000 0000 0000"
    (answer server ("1234 2800 0001 0000 0000 0000" ^ question));
  check_answer "not ours" "1234 8105 0001 0000 0000 0000 00 0001 0001"
    (answer server (header ^ "0 00 0001 0001"));
  check_answer "another class" "1234 8105 0001 0000 0000 0000 00 0001 0003"
    (answer server (header ^ "0 00 0001 0003"));
  check_answer "a transfer" "1234 8105 0001 0000 0000 0000 00 00fc 0001"
    (answer server (header ^ "0 00 00fc 0001"));
  check_answer "a version that is not known"
    ("1234 8100 0001 0000 0000 0001" ^ question ^ "00 0029 04d0 01 00 0000 0000")
    (answer server (header ^ "1" ^ question ^ opt ~version:"01" ~flags:"0000" ()));
  check_bool "a response" true (answer server ("1234 8100 0001 0000 0000 0000" ^ question) = None)

let a_failure_is_one_answer () =
  let server, asked = server () in
  let broken = header ^ "0 00 0010 0001" in
  check_answer "a failure" "1234 8102 0001 0000 0000 0000 00 0010 0001" (answer server broken);
  check_answer "and another" "1234 8102 0001 0000 0000 0000 00 0010 0001" (answer server broken);
  check_int "it is asked again" 2 !asked

let answers_are_kept () =
  let server, asked = server () in
  for _ = 1 to 3 do
    ignore (answer server plain : Cstruct.t option);
    ignore (answer server extended : Cstruct.t option)
  done;
  check_int "one lookup" 1 !asked;
  (* More names than are kept. *)
  for i = 1 to 1000 do
    let name = Printf.sprintf "%04x" i in
    ignore (answer server (header ^ "0 02" ^ name ^ "00 0001 0001") : Cstruct.t option);
    check_bool "no more than its memory" true (Server.held server <= 100_000)
  done;
  let before = !asked in
  ignore (answer server plain : Cstruct.t option);
  check_int "forgotten, and asked again" (before + 1) !asked

(* A wildcard has an answer for each of the types and names there are: it is bytes that count. *)
let large_answers_are_few () =
  let text =
    String.concat "" (List.init 40 (fun _ -> "00 0010 0001 00000000 0064" ^ String.make 200 'a'))
  in
  let large = bytes ("0400 0028 0000 0000" ^ text) in
  let server = Server.create ~memory:50_000 ~lookup:(fun _ _ -> large) () in
  for kind = 1 to 100 do
    ignore
      (answer server (header ^ "0 00" ^ Printf.sprintf "%04x" kind ^ "0001") : Cstruct.t option);
    check_bool "no more than its memory" true (Server.held server <= 50_000)
  done;
  check_bool "but some" true (Server.held server > 10_000);
  (* Of a connection that is not read one is held. *)
  check_int "none is long" 4096 (Server.longest server);
  let length =
    Option.map Cstruct.length (answer server ~transport:`Tcp (header ^ "0 00 00100001"))
  in
  check_int "the longest" (Option.get length) (Server.longest server);
  check_bool "all of it" true (Server.longest server > 4400)

let limits () =
  let records = String.concat "" (List.init 50 (fun _ -> "00 0001 0001 00000000 0004 c0000201")) in
  let big = bytes ("0400 0032 0000 0000" ^ records) in
  let server = Server.create ~lookup:(fun _ _ -> big) () in
  let ask ?transport size =
    match answer server ?transport (header ^ "1" ^ question ^ opt ~size ()) with
    | Some b -> Cstruct.length b
    | None -> 0
  in
  let whole = 12 + 21 + (50 * 15) + 11 in
  check_int "there is room" whole (ask "0400");
  check_int "the longest is one over TCP" 4096 (Server.longest server);
  check_int "there is none" (12 + 21 + 11) (ask "0200");
  check_int "less than 512 is 512" (12 + 21 + 11) (ask "0000");
  check_int "TCP" whole (ask ~transport:`Tcp "0200");
  let bigger = bytes ("0400 0064 0000 0000" ^ records ^ records) in
  let server = Server.create ~lookup:(fun _ _ -> bigger) () in
  match answer server (header ^ "1" ^ question ^ opt ~size:"ffff" ()) with
  | Some b -> check_bool "never above our own" true (Cstruct.length b <= Reply.max_datagram)
  | None -> Alcotest.fail "no answer"

(* {1 Hostile packets} *)

(* Whatever comes: no exception, and what goes out is a response to it. *)
let survives server text =
  match Server.answer server `Udp (Cstruct.of_string text) with
  | None -> ()
  | Some b ->
      check_int "the same id" (String.get_uint16_be text 0) (Cstruct.BE.get_uint16 b 0);
      check_bool "a response" true (Cstruct.get_uint8 b 2 land 0x80 <> 0)

let damaged () =
  let server, _ = server () in
  let whole = bytes extended in
  String.iteri
    (fun i _ ->
      survives server (String.sub whole 0 i);
      for c = 0 to 255 do
        let b = Bytes.of_string whole in
        Bytes.set b i (Char.chr c);
        survives server (Bytes.to_string b)
      done)
    whole

let random () =
  let state = Random.State.make [| 5 |] in
  let server, _ = server () in
  for _ = 1 to 100_000 do
    let b = Bytes.of_string (bytes extended ^ String.make (Random.State.int state 40) '\000') in
    for _ = 0 to Random.State.int state 8 do
      Bytes.set_uint8 b
        (2 + Random.State.int state (Bytes.length b - 2))
        (match Random.State.int state 3 with
        | 0 -> 0xc0
        | 1 -> Random.State.int state 64
        | _ -> Random.State.int state 256)
    done;
    survives server (Bytes.sub_string b 0 (Random.State.int state (Bytes.length b)))
  done

(* {1 Connections} *)

let messages stream =
  let rec go acc =
    match Stream.next stream with
    | `More -> List.rev acc
    | `Message m -> go (Cstruct.to_string m :: acc)
    | `Too_long -> List.rev ("too long" :: acc)
  in
  go []

let streams () =
  let text = bytes "0003'abc' 0000 0001'd'" in
  let check = Alcotest.(check (list string)) in
  let stream = Stream.create () in
  Stream.feed stream (Cstruct.of_string text);
  check "all at once" [ "abc"; ""; "d" ] (messages stream);
  let stream = Stream.create () in
  let pieces =
    List.concat_map
      (fun i ->
        Stream.feed stream (Cstruct.of_string (String.sub text i 1));
        messages stream)
      (List.init (String.length text) Fun.id)
  in
  check "byte by byte" [ "abc"; ""; "d" ] pieces;
  let stream = Stream.create () in
  Stream.feed stream
    (Cstruct.of_string (bytes "1000" ^ String.make Stream.longest 'x' ^ bytes "1001"));
  check "the longest, and one that is longer"
    [ String.make Stream.longest 'x'; "too long" ]
    (messages stream);
  let frame = Cstruct.concat (Stream.frame (Cstruct.of_string "abc")) in
  check_bytes "a frame" "0003'abc'" frame

let () =
  Logs.set_level None;
  Alcotest.run "dns"
    [
      ( "requests",
        [
          case "with_and_without_extension" requests;
          case "other_records_are_stepped_over" other_records_are_stepped_over;
          case "short_messages_and_responses_have_no_answer" nothing;
          case "malformed" malformed;
          case "other_operations" other_operations;
        ] );
      ( "responses",
        [
          case "names_are_compressed" names_are_compressed;
          case "not_in_the_data_of_newer_types" not_in_the_data_of_newer_types;
          case "extension_is_answered" extension_is_answered;
          case "what_does_not_fit_goes" what_does_not_fit;
          case "a_referral_is_whole_or_truncated" a_referral_is_whole;
        ] );
      ( "server",
        [
          case "each_request_has_its_answer" each_request_has_its_answer;
          case "a_failure_is_one_answer" a_failure_is_one_answer;
          case "answers_are_kept" answers_are_kept;
          case "large_answers_are_few" large_answers_are_few;
          case "limits_of_the_transports" limits;
        ] );
      ("hostile packets", [ case "damaged" damaged; case "random" random ]);
      ("connections", [ case "messages_in_any_pieces" streams ]);
    ]
