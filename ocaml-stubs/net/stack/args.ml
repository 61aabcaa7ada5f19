open Cmdliner

let parser of_string s =
  match of_string s with Ok v -> Ok v | Error (`Msg m) -> Error (`Msg (s ^ ": " ^ m))

let ipv4 = Arg.conv ~docv:"IP" (parser Ipaddr.V4.of_string, Ipaddr.V4.pp)
let ipv6 = Arg.conv ~docv:"IP" (parser Ipaddr.V6.of_string, Ipaddr.V6.pp)
let cidr4 = Arg.conv ~docv:"CIDR" (parser Ipaddr.V4.Prefix.of_string, Ipaddr.V4.Prefix.pp)
let cidr6 = Arg.conv ~docv:"CIDR" (parser Ipaddr.V6.Prefix.of_string, Ipaddr.V6.Prefix.pp)

(* An empty one is no secret. *)
let secret =
  let parse = function "" -> Error (`Msg "an empty text") | text -> Ok text in
  Arg.conv ~docv:"TEXT" (parse, Format.pp_print_string)

let section = "NETWORK"

(* What the parameters say together; or why they contradict each other. *)
let make cidr gateway dhcp ipv6_addresses ipv6_gateway accept_router_advertisements only4 only6
    secret eui64 =
  if only4 && only6 then Error (`Msg "ipv4-only and ipv6-only exclude each other")
  else if only6 && (cidr <> None || dhcp) then Error (`Msg "an IPv4 address, but also ipv6-only")
  else if only4 && (ipv6_addresses <> [] || ipv6_gateway <> None) then
    Error (`Msg "an IPv6 address, but also ipv4-only")
  else
    match (cidr, dhcp) with
    | Some _, true -> Error (`Msg "ipv4 and dhcp exclude each other")
    | None, _ when gateway <> None -> Error (`Msg "ipv4-gateway needs ipv4")
    | None, false when only4 -> Error (`Msg "ipv4-only needs ipv4 or dhcp")
    | _, _ ->
        let ipv4 =
          match cidr with
          | Some cidr -> `Static { Stack.cidr; gateway }
          | None -> if dhcp then `Dhcp else `Off
        in
        let config =
          {
            Stack.ipv4;
            ipv6 = (if only4 then `Off else `On);
            ipv6_addresses;
            ipv6_gateway;
            accept_router_advertisements;
            ipv6_identifiers =
              (match secret with
              | _ when eui64 -> `Modified_eui64
              | Some text -> `Stable text
              | None -> `Private);
          }
        in
        Result.map (fun () -> config) (Result.map_error (fun m -> `Msg m) (Stack.check config))

let config ?group () =
  let named name ~doc =
    let name = match group with None -> name | Some g -> g ^ "-" ^ name in
    Arg.info [ name ] ~doc ~docs:section
  in
  let flag name ~doc = Arg.(value & opt ~vopt:true bool false & named name ~doc) in
  let cidr =
    Arg.(value & opt (some cidr4) None & named "ipv4" ~doc:"Our IPv4 address and prefix.")
  in
  let gateway =
    Arg.(value & opt (some ipv4) None & named "ipv4-gateway" ~doc:"The IPv4 default router.")
  in
  let dhcp = flag "dhcp" ~doc:"Take the IPv4 address from a DHCP server." in
  let cidrs =
    Arg.(value & opt_all cidr6 [] & named "ipv6" ~doc:"An IPv6 address of ours and its prefix.")
  in
  let gateway6 =
    Arg.(value & opt (some ipv6) None & named "ipv6-gateway" ~doc:"The IPv6 default router.")
  in
  let ra =
    Arg.(
      value & opt ~vopt:true bool true
      & named "accept-router-advertisements"
          ~doc:"Take IPv6 addresses and routers from router advertisements.")
  in
  let only4 = flag "ipv4-only" ~doc:"No IPv6." in
  let only6 = flag "ipv6-only" ~doc:"No IPv4." in
  let secret =
    Arg.(
      value
      & opt (some secret) None
      & named "ipv6-secret"
          ~doc:
            "A text that nobody else knows, from which the last half of IPv6 addresses is made \
             that are not given (RFC 7217): they stay the same as long as it does. Without one \
             they are others after each boot.")
  in
  let eui64 =
    flag "ipv6-eui64"
      ~doc:"Make IPv6 addresses that are not given of the MAC, which then all the world can see."
  in
  Term.term_result
    Term.(
      const make $ cidr $ gateway $ dhcp $ cidrs $ gateway6 $ ra $ only4 $ only6 $ secret $ eui64)
