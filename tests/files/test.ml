(* Files of an image that mkfs.erofs makes, as Mirage's read-only store. *)

open Lwt.Infix
open Mirust_files
module Key = Mirage_kv.Key

(* What a unikernel such as Mirage's static_website does with its store. *)
module Site (Store : Mirage_kv.RO) = struct
  let page store path =
    let key = Key.v path in
    let key = if path = "/" then Key.(key / "index.html") else key in
    Store.get store key >|= Result.map_error (Fmt.to_to_string Store.pp_error)
end

module Own_site = Site (Kv)

let sh fmt = Printf.ksprintf (fun c -> if Sys.command c <> 0 then Alcotest.failf "failed: %s" c) fmt
let long = String.init 600_000 (fun i -> Char.chr (i * 7 / 5 land 0xff))
let write path contents = Out_channel.with_open_bin path (fun out -> output_string out contents)

let with_image f =
  let dir = Filename.temp_dir "mirust-files" "" in
  let folder = Filename.concat dir "folder" in
  sh "mkdir -p %s/sub/empty" folder;
  write (folder ^ "/index.html") "<h1>Hello</h1>";
  write (folder ^ "/sub/long") long;
  write (folder ^ "/sub/caf\xe9") "";
  Unix.utimes (folder ^ "/index.html") 981_173_106. 981_173_106.;
  sh "ln -s ../index.html %s/sub/link && ln -s nowhere %s/sub/broken" folder folder;
  let image = Filename.concat dir "image" in
  sh "mkfs.erofs --quiet %s %s >/dev/null" image folder;
  Fun.protect ~finally:(fun () -> sh "rm -r %s" dir) (fun () -> Mirust.Main.run (f image))

let with_store f =
  with_image @@ fun image ->
  Kv.connect image >>= fun store ->
  f store >>= fun () -> Kv.disconnect store

let error = Alcotest.testable Kv.pp_error ( = )

let kind =
  Alcotest.testable
    (fun ppf k -> Fmt.string ppf (match k with `Value -> "value" | `Dictionary -> "dictionary"))
    ( = )

let key = Alcotest.testable Key.pp Key.equal
let check ok what expected found = Alcotest.(check (result ok error)) what expected found

let values () =
  with_store @@ fun store ->
  let get path = Kv.get store (Key.v path) in
  get "index.html" >>= fun r ->
  check Alcotest.string "a value" (Ok "<h1>Hello</h1>") r;
  get "/sub/long" >>= fun r ->
  check Alcotest.bool "a long one" (Ok true) (Result.map (String.equal long) r);
  get "sub/caf\xe9" >>= fun r ->
  check Alcotest.string "an empty one" (Ok "") r;
  get "sub/link" >>= fun r ->
  check Alcotest.string "a link" (Ok "<h1>Hello</h1>") r;
  let missing path =
    get path >|= fun r -> check Alcotest.string path (Error (`Not_found (Key.v path))) r
  in
  Lwt_list.iter_s missing [ "nothing"; "sub/broken"; "index.html/x"; String.make 300 'x' ]
  >>= fun () ->
  get "sub" >>= fun r ->
  check Alcotest.string "a dictionary" (Error (`Value_expected (Key.v "sub"))) r;
  Own_site.page store "/" >|= fun r ->
  Alcotest.(check (result string string)) "a page" (Ok "<h1>Hello</h1>") r

let parts () =
  with_store @@ fun store ->
  let part path offset length =
    Kv.get_partial store (Key.v path) ~offset:(Optint.Int63.of_int offset) ~length
  in
  let one (offset, length) =
    let n = max 0 (min length (String.length long - offset)) in
    let expected = if n = 0 then "" else String.sub long offset n in
    part "sub/long" offset length >|= fun r -> check Alcotest.string "part" (Ok expected) r
  in
  Lwt_list.iter_s one [ (0, 10); (4095, 2); (599_990, 100); (600_000, 1); (max_int, 5); (7, 0) ]
  >>= fun () ->
  part "sub" 0 1 >|= fun r ->
  check Alcotest.string "of a dictionary" (Error (`Value_expected (Key.v "sub"))) r

let lists () =
  with_store @@ fun store ->
  let entries = Alcotest.(list (pair key kind)) in
  Kv.list store Key.empty >>= fun r ->
  check entries "the root" (Ok [ (Key.v "index.html", `Value); (Key.v "sub", `Dictionary) ]) r;
  Kv.list store (Key.v "sub") >>= fun r ->
  let sub name kind = (Key.v ("sub/" ^ name), kind) in
  check entries "links are what they lead to"
    (Ok [ sub "caf\xe9" `Value; sub "empty" `Dictionary; sub "link" `Value; sub "long" `Value ])
    r;
  Kv.list store (Key.v "sub/empty") >>= fun r ->
  check entries "nothing" (Ok []) r;
  Kv.list store (Key.v "index.html") >>= fun r ->
  check entries "a value" (Error (`Dictionary_expected (Key.v "index.html"))) r;
  Kv.list store (Key.v "no") >|= fun r ->
  check entries "what is not there" (Error (`Not_found (Key.v "no"))) r

let known () =
  with_store @@ fun store ->
  let exists path = Kv.exists store (Key.v path) in
  let some = Alcotest.option kind in
  exists "sub/long" >>= fun r ->
  check some "value" (Ok (Some `Value)) r;
  exists "sub" >>= fun r ->
  check some "dictionary" (Ok (Some `Dictionary)) r;
  exists "index.html/x" >>= fun r ->
  check some "nothing" (Ok None) r;
  Kv.size store (Key.v "sub/long") >>= fun r ->
  check Alcotest.int "size" (Ok 600_000) (Result.map Optint.Int63.to_int r);
  Kv.last_modified store (Key.v "index.html") >>= fun r ->
  check Alcotest.string "time" (Ok "2001-02-03T04:05:06Z")
    (Result.map (Ptime.to_rfc3339 ~tz_offset_s:0) r);
  Kv.digest store (Key.v "index.html") >>= fun r ->
  check Alcotest.string "digest" (Ok (Digest.string "<h1>Hello</h1>")) r;
  Kv.digest store (Key.v "sub/long") >>= fun r ->
  let piece at n = Digest.string (String.sub long at n) in
  let whole = piece 0 262144 ^ piece 262144 262144 ^ piece 524288 75712 in
  check Alcotest.string "of a long value" (Ok (Digest.string whole)) r;
  Kv.digest store (Key.v "sub") >|= fun r ->
  check Alcotest.string "of a dictionary" (Error (`Value_expected (Key.v "sub"))) r

let refused () =
  with_image @@ fun image ->
  let cut = image ^ "-cut" and noise = image ^ "-noise" in
  write cut (String.sub (In_channel.with_open_bin image In_channel.input_all) 0 8192);
  write noise (String.make 65536 '\x5a');
  let refuses what path =
    Lwt.catch
      (fun () -> Kv.connect path >|= fun _ -> Alcotest.failf "%s: connected" what)
      (function Failure _ -> Lwt.return_unit | e -> Lwt.reraise e)
  in
  refuses "an image that is cut off" cut >>= fun () ->
  refuses "no image" noise >>= fun () ->
  refuses "no disk" "/nonexistent/disk" >>= fun () ->
  Kv.connect image >>= fun store ->
  Kv.connect image >>= fun same ->
  Kv.get same (Key.v "index.html") >>= fun r ->
  check Alcotest.string "opened once, for both" (Ok "<h1>Hello</h1>") r;
  Kv.disconnect store >>= fun () ->
  Kv.get store (Key.v "index.html") >|= function
  | Error (`Failed _) -> ()
  | r -> check Alcotest.string "closed" (Error (`Failed "the disk")) r

(* Of an image that somebody has made by hand: a value's size, which is at 8 of an inode of 64 bytes. *)
let sizes_that_lie () =
  with_image @@ fun image ->
  let forged = image ^ "-forged" and folder = Filename.(concat (dirname image) "folder") in
  sh "mkfs.erofs --quiet -E force-inode-extended,nosbcrc %s %s >/dev/null" forged folder;
  let bytes = Bytes.of_string (In_channel.with_open_bin forged In_channel.input_all) in
  let is_value at =
    Bytes.get_uint16_le bytes (at + 4) = 0o100644 && Bytes.get_int64_le bytes (at + 8) = 14L
  in
  let rec find at = if is_value at then at else find (at + 32) in
  let inode = find 1152 and key = Key.v "index.html" in
  let forge what ~layout size expected =
    Bytes.set_uint16_le bytes inode (1 lor (layout lsl 1));
    Bytes.set_int64_le bytes (inode + 8) size;
    write forged (Bytes.to_string bytes);
    Kv.connect forged >>= fun store ->
    Kv.size store key >>= fun size ->
    check Alcotest.int what expected (Result.map Optint.Int63.to_int size);
    Kv.get store key >>= fun whole ->
    Kv.get_partial store key ~offset:(Optint.Int63.of_int (max_int - 3)) ~length:max_int
    >>= fun part ->
    Kv.digest store key >>= fun digest ->
    let is_error what r = Alcotest.(check bool) what true (Result.is_error r) in
    is_error "a value" whole;
    is_error "a part" part;
    is_error "a digest" digest;
    Kv.disconnect store
  in
  let damaged = Error (`Failed "the image of files is damaged: an impossible size of a file") in
  forge "OCaml's largest" ~layout:0 0x3fff_ffff_ffff_ffffL (Ok max_int) >>= fun () ->
  forge "one more" ~layout:0 0x4000_0000_0000_0000L (Ok max_int) >>= fun () ->
  forge "with a tail" ~layout:2 Int64.max_int (Ok max_int) >>= fun () ->
  forge "in chunks" ~layout:4 Int64.max_int (Ok max_int) >>= fun () ->
  forge "none" ~layout:0 (-1L) damaged

let () =
  let case name f = Alcotest.test_case name `Quick f in
  Alcotest.run "files"
    [
      ( "store",
        [
          case "values" values;
          case "parts" parts;
          case "lists" lists;
          case "known" known;
          case "refused" refused;
          case "sizes that lie" sizes_that_lie;
        ] );
    ]
