type t = Modified_eui64 | Stable of string

(* RFC 4291 appendix A. *)
let modified_eui64 mac =
  let m = Macaddr.to_octets mac in
  let first = Char.chr (Char.code m.[0] lxor 2) in
  String.concat "" [ String.make 1 first; String.sub m 1 2; "\xff\xfe"; String.sub m 3 3 ]

(* RFC 5453: anycast to the routers of a prefix, and to its mobile home agents and such. *)
let is_reserved id =
  String.equal id (String.make 8 '\000')
  || (String.equal (String.sub id 0 7) "\xfd\xff\xff\xff\xff\xff\xff" && id.[7] >= '\x80')
  || String.equal (String.sub id 0 5) "\x02\x00\x5e\xff\xfe"

(* RFC 7217 section 5. *)
let rec stable ~secret ~network ~mac counter =
  let input =
    String.concat "" [ network; Macaddr.to_octets mac; String.make 1 (Char.chr (counter land 255)) ]
  in
  let id = String.sub (Digest.BLAKE256.string (Digest.BLAKE256.string secret ^ input)) 0 8 in
  if is_reserved id then stable ~secret ~network ~mac (counter + 16) else id

let address t mac prefix ~counter =
  let network = String.sub (Ipaddr.V6.to_octets prefix) 0 8 in
  let id =
    match t with
    | Modified_eui64 -> modified_eui64 mac
    | Stable secret -> stable ~secret ~network ~mac counter
  in
  Ipaddr.V6.of_octets_exn (network ^ id)
