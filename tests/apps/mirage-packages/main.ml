(* MirageOS's packages that Debian has, their C code included, in an image. *)

open Lwt.Infix
module Kv = Mirage_kv_mem

let check name condition = print_endline ((if condition then "ok " else "not ok ") ^ name)
let ok = function Ok v -> v | Error _ -> failwith "an error"

(* An empty generator would refuse to give anything. *)
let seed () =
  Mirage_crypto_rng.(
    set_default_generator (create ~seed:(Mirust.Random.generate 32) (module Fortuna)))

let cipher () =
  let module Gcm = Mirage_crypto.AES.GCM in
  let key = Gcm.of_secret (Mirage_crypto_rng.generate 32) and nonce = Mirage_crypto_rng.generate 12 in
  let text = String.make 10_000 'a' in
  let sealed = Gcm.authenticate_encrypt ~key ~nonce text in
  check "AES-GCM" (Gcm.authenticate_decrypt ~key ~nonce sealed = Some text);
  let forged = Bytes.of_string sealed in
  Bytes.set forged 0 (Char.chr (Char.code sealed.[0] lxor 1));
  check "which notices a change"
    (Gcm.authenticate_decrypt ~key ~nonce (Bytes.to_string forged) = None)

(* RFC 6234's example. *)
let digest () =
  check "SHA-256"
    (Digestif.SHA256.(to_hex (digest_string "abc"))
    = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")

(* Signs for itself; numbers are GMP's, curves mirage-crypto-ec's. *)
let certificate kind name =
  let open X509 in
  let key = Private_key.generate ~bits:1024 kind in
  let name' = [ Distinguished_name.(Relative_distinguished_name.singleton (CN "mirust.example")) ] in
  let now = Mirage_ptime.now () in
  let until = Option.get (Ptime.add_span now (Ptime.Span.of_int_s 3600)) in
  let host = Domain_name.(host_exn (of_string_exn "mirust.example")) in
  let extensions =
    Extension.(
      empty
      |> add Basic_constraints (true, (true, None))
      |> add Key_usage (true, [ `Key_cert_sign; `Digital_signature ])
      |> add Subject_alt_name (false, General_name.(singleton DNS [ "mirust.example" ])))
  in
  let request = ok (Signing_request.create name' key) in
  let made =
    ok (Signing_request.sign request ~valid_from:now ~valid_until:until ~extensions key name')
  in
  let read = ok (Certificate.decode_pem (Certificate.encode_pem made)) in
  let allowed_hashes = [ `SHA256; `SHA384; `SHA512 ] in
  check (name ^ " certificate")
    (Result.is_ok (Validation.valid_ca ~allowed_hashes ~time:now read)
    && Certificate.supports_hostname read host);
  let late = Option.get (Ptime.add_span until (Ptime.Span.of_int_s 1)) in
  check "which ends" (Result.is_error (Validation.valid_ca ~allowed_hashes ~time:late read))

let store () =
  let began = Mirage_ptime.now () in
  let key = Mirage_kv.Key.v "/a/b" in
  Kv.connect () >>= fun kv ->
  Kv.set kv key "value" >>= fun set ->
  Kv.get kv key >>= fun value ->
  Kv.last_modified kv key >|= fun at ->
  check "mirage-kv-mem" (set = Ok () && value = Ok "value");
  (* Which is that since boot where there is neither Linux nor Xen. *)
  check "with the time of mirage-ptime"
    (match at with
    | Ok at -> not (Ptime.is_earlier at ~than:began) && not (Ptime.is_later at ~than:(Mirage_ptime.now ()))
    | Error _ -> false)

let resolver () =
  let service name = Lwt.return_some { Resolver.name; port = 80; tls = false } in
  let rewrite (service : Resolver.service) uri =
    let address = Ipaddr.of_string_exn (Option.get (Uri.host uri)) in
    Lwt.return (`TCP (address, Option.value (Uri.port uri) ~default:service.port))
  in
  let t = Resolver_lwt.init ~service ~rewrites:[ ("", rewrite) ] () in
  Resolver_lwt.resolve_uri ~uri:(Uri.of_string "http://10.0.0.1:8080/") t >|= fun endpoint ->
  check "conduit-lwt"
    (match endpoint with
    | `TCP (address, 8080) -> Ipaddr.to_string address = "10.0.0.1"
    | _ -> false)

let start () =
  seed ();
  cipher ();
  digest ();
  certificate `P256 "P-256";
  certificate `ED25519 "Ed25519";
  certificate `RSA "RSA";
  store () >>= resolver

let () = Mirust.Main.run (start ())
