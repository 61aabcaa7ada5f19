open Lwt.Infix
module Files = Exported.MirustFiles
module Key = Mirage_kv.Key

type error = [ Mirage_kv.error | `Failed of string ]

let pp_error ppf : error -> unit = function
  | #Mirage_kv.error as e -> Mirage_kv.pp_error ppf e
  | `Failed message -> Fmt.string ppf message

type t = Files.t
type key = Key.t

let connect name =
  ignore (Mirust_block.Disks.named () : (string * string) list);
  Files.open_ name >>= function Ok t -> Lwt.return t | Error message -> Lwt.fail_with message

let disconnect t =
  Files.close t;
  Lwt.return_unit

(* Numbers of ffi/src/files.rs. *)
let failure key (number, message) : error =
  match number with
  | 0 -> `Not_found key
  | 1 -> `Dictionary_expected key
  | 2 -> `Value_expected key
  | _ -> `Failed message

let path = Key.to_string
let about t key = Files.about t (path key) >|= Result.map_error (failure key)

(* A part of the path that is a value has nothing below it, so the key is not there. *)
let missing key = function Error (`Dictionary_expected _) -> Error (`Not_found key) | r -> r

let exists t key =
  about t key >|= function
  | Ok (dictionary, _, _, _) -> Ok (Some (if dictionary then `Dictionary else `Value))
  | Error (`Not_found _ | `Dictionary_expected _) -> Ok None
  | Error _ as e -> e

let part t key ~offset ~length =
  Files.part t (path key) offset length >|= Result.map_error (failure key) >|= missing key

let get t key = part t key ~offset:0 ~length:max_int

let get_partial t key ~offset ~length =
  let offset = Optint.Int63.to_int offset in
  if offset < 0 || length < 0 then Lwt.return_error (`Failed "a negative offset or length")
  else part t key ~offset ~length

let list t key =
  about t key >>= function
  | Error _ as e -> Lwt.return (missing key e)
  | Ok (false, _, _, _) -> Lwt.return_error (`Dictionary_expected key)
  | Ok (true, _, _, _) ->
      let entry (name, dictionary) =
        (Key.add key name, if dictionary then `Dictionary else `Value)
      in
      Files.list t (path key) >|= Result.map (List.map entry) >|= Result.map_error (failure key)

let value t key f =
  about t key >>= function
  | Error _ as e -> Lwt.return (missing key e)
  | Ok (true, _, _, _) -> Lwt.return_error (`Value_expected key)
  | Ok (false, size, seconds, ns) -> f size seconds ns

let size t key = value t key (fun size _ _ -> Lwt.return_ok (Optint.Int63.of_int size))

let last_modified t key =
  about t key >|= function
  | Error _ as e -> missing key e
  | Ok (_, _, seconds, ns) -> (
      let picoseconds =
        Int64.(add (mul (of_int (seconds mod 86400)) 1_000_000_000_000L) (mul (of_int ns) 1000L))
      in
      match Option.bind (Ptime.Span.of_d_ps (seconds / 86400, picoseconds)) Ptime.of_span with
      | Some time -> Ok time
      | None -> Error (`Failed "a time beyond the year 9999"))

let piece = 1 lsl 18

(* Of a value that is large, one piece at a time is in memory. *)
let digest t key =
  value t key @@ fun size _ _ ->
  let rec go digests offset =
    part t key ~offset ~length:piece >>= function
    | Error _ as e -> Lwt.return e
    | Ok bytes ->
        let digests = Digest.string bytes :: digests and offset = offset + String.length bytes in
        if offset < size then go digests offset
        else
          Lwt.return_ok
            (match digests with
            | [ digest ] -> digest
            | digests -> Digest.string (String.concat "" (List.rev digests)))
  in
  go [] 0
