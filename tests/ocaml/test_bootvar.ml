open Mirust

external split : string -> string = "mirust_export_test_split"

let words line expected () = Alcotest.(check string) line (String.concat "|" expected) (split line)
let eval args term = Bootvar.eval ~argv:(Array.of_list ("test" :: args)) term
let greeting = Cmdliner.Arg.(value & opt string "hello" & info [ "greeting" ])

let terms () =
  Alcotest.(check bool) "default" true (eval [] greeting = Ok "hello");
  Alcotest.(check bool) "given" true (eval [ "--greeting=hi there" ] greeting = Ok "hi there");
  (match eval [ "--greting=x"; "more" ] greeting with
  | Error (`Error message) -> Alcotest.(check bool) "says why" true (String.length message > 10)
  | _ -> Alcotest.fail "accepted");
  match eval [ "-l"; "debug" ] Bootvar.logs with
  | Ok (Some Logs.Debug) -> ()
  | _ -> Alcotest.fail "no level"

let has text part =
  let n = String.length part in
  List.exists
    (fun i -> String.sub text i n = part)
    (List.init (max 0 (String.length text - n + 1)) Fun.id)

let numbers () =
  let port =
    Cmdliner.Arg.(value & opt (Bootvar.number ~least:1 ~most:65535) 80 & info [ "port" ])
  in
  List.iter
    (fun (text, expected) ->
      match (eval [ "--port=" ^ text ] port, expected) with
      | Ok n, Some m -> Alcotest.(check int) text m n
      | Error (`Error message), None ->
          Alcotest.(check bool) message true (has message "from 1 to 65535")
      | _, _ -> Alcotest.fail text)
    [
      ("1", Some 1);
      ("65535", Some 65535);
      ("080", Some 80);
      ("", None);
      ("0", None);
      ("65536", None);
      ("-1", None);
      ("+1", None);
      ("8_0", None);
      ("0x50", None);
      (" 80", None);
      ("80\xff", None);
      ("99999999999999999999", None);
    ]

let sizes () =
  let most = 32 lsl 20 in
  List.iter
    (fun (text, expected) ->
      match (Budget.parse ~most text, expected) with
      | Ok n, Ok m -> Alcotest.(check int) text m n
      | Error (`Msg message), Error part -> Alcotest.(check bool) message true (has message part)
      | _, _ -> Alcotest.fail text)
    [
      ("8M", Ok (8 lsl 20));
      ("8192k", Ok (8 lsl 20));
      ("32M", Ok most);
      ("33554432", Ok most);
      ("33554433", Error "more than there is: 32768 KiB");
      ("1G", Error "more than there is");
      ("4611686018427387903", Error "more than there is");
      ("4611686018427387903G", Error "no size");
      ("1023K", Error "at least 1M");
      ("", Error "no size");
      ("M", Error "no size");
      ("-8M", Error "no size");
      ("0x8M", Error "no size");
      ("8_0M", Error "no size");
      ("8MB", Error "no size");
    ]

(* The loop's tests have run: the parameters are closed. *)
let closed () =
  match Bootvar.register greeting with
  | (_ : unit -> string) -> Alcotest.fail "registered"
  | exception Invalid_argument _ -> ()

let case name f = Alcotest.test_case name `Quick f

let tests =
  [
    case "spaces" (words "  --a=1  -v b" [ "--a=1"; "-v"; "b" ]);
    case "double_quotes" (words {|--name="two words" x|} [ "--name=two words"; "x" ]);
    case "single_quotes" (words {|'it is \ "so"'|} [ {|it is \ "so"|} ]);
    case "escapes" (words {|a\ b "\"" \\|} [ "a b"; "\""; "\\" ]);
    case "bytes_that_are_not_utf8" (words "caf\xe9 '\xff '" [ "caf\xe9"; "\xff " ]);
    case "terms" terms;
    case "numbers" numbers;
    case "sizes" sizes;
    case "argv_begins_with_a_name" (fun () ->
        Alcotest.(check bool) "name" true (Array.length (Bootvar.argv ()) >= 1));
    case "late_registration_is_refused" closed;
  ]
