type option_code = SUBNET_MASK | ROUTERS | DNS_SERVERS | NTP_SERVERS

type dhcp_option =
  | Hostname of string
  | Dns_servers of Ipaddr.V4.t list
  | Ntp_servers of Ipaddr.V4.t list

let codes = [ (SUBNET_MASK, 1); (ROUTERS, 3); (DNS_SERVERS, 6); (NTP_SERVERS, 42) ]
let option_code_to_int code = List.assoc code codes

let int_to_option_code_exn n =
  match List.find_opt (fun (_, m) -> m = n) codes with
  | Some (code, _) -> code
  | None -> invalid_arg "int_to_option_code_exn"

(* Raises for any other option, as the library does for some. *)
let options_of_buf b length =
  let addresses off n =
    List.init (n / 4) (fun i -> Ipaddr.V4.of_int32 (Cstruct.BE.get_uint32 b (off + (4 * i))))
  in
  let rec from off =
    match Cstruct.get_uint8 b off with
    | 255 -> []
    | number -> (
        let n = Cstruct.get_uint8 b (off + 1) in
        let others () = from (off + 2 + n) in
        match int_to_option_code_exn number with
        | SUBNET_MASK | ROUTERS -> others ()
        | DNS_SERVERS -> Dns_servers (addresses (off + 2) n) :: others ()
        | NTP_SERVERS -> Ntp_servers (addresses (off + 2) n) :: others ())
  in
  if Cstruct.BE.get_uint32 b 0 <> 0x63825363l || Cstruct.length b <> length then
    invalid_arg "options_of_buf";
  from 4

let collect_dns_servers = List.concat_map (function Dns_servers l -> l | _ -> [])
let collect_ntp_servers = List.concat_map (function Ntp_servers l -> l | _ -> [])
