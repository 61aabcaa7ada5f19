open Mirust_wire

type lease = {
  address : Ipaddr.V4.Prefix.t;
  routers : Ipaddr.V4.t list;
  dns : Ipaddr.V4.t list;
  domain : string option;
  mtu : int option;
  server : Ipaddr.V4.t;
  until : int;
  options : (int * string) list;
}

let pp_lease ppf l =
  Fmt.pf ppf "%a from %a, routers %a, dns %a" Ipaddr.V4.Prefix.pp l.address Ipaddr.V4.pp l.server
    Fmt.(list ~sep:sp Ipaddr.V4.pp)
    l.routers
    Fmt.(list ~sep:sp Ipaddr.V4.pp)
    l.dns

type action =
  | Broadcast of Dhcpv4.t
  | Unicast of { server : Ipaddr.V4.t; message : Dhcpv4.t }
  | Configure of lease
  | Deconfigure
  | Unusable of { server : Ipaddr.V4.t option; why : string }
  | Silence of int

type state = Init | Selecting | Requesting | Rebooting | Bound | Renewing | Rebinding | Stopped

let pp_state ppf s =
  Fmt.string ppf
    (match s with
    | Init -> "init"
    | Selecting -> "selecting"
    | Requesting -> "requesting"
    | Rebooting -> "rebooting"
    | Bound -> "bound"
    | Renewing -> "renewing"
    | Rebinding -> "rebinding"
    | Stopped -> "stopped")

type t = {
  mac : Macaddr.t;
  host_name : string option;
  wanted : int list;
  random : int -> int;
  mutable state : state;
  mutable xid : int;
  mutable began : int; (* the first message of this attempt, for the secs field *)
  mutable at : int; (* the next retransmission or change of state; max_int: none *)
  mutable tries : int;
  mutable failures : int; (* attempts in a row that came to nothing *)
  mutable declines : int; (* in a row, without a lease that lasted *)
  mutable seeking : int; (* since when no server has answered *)
  mutable offer : Dhcpv4.t option; (* being requested *)
  mutable avoided : Ipaddr.V4.t list; (* servers whose offers came to nothing, the last one first *)
  mutable lease : lease option;
  mutable renew : int; (* T1 of the lease *)
  mutable rebind : int; (* T2 *)
}

let second = 1_000_000_000

(* Subnet mask, routers, DNS, host name, domain name, MTU, broadcast, lease and its times. *)
let understood = [ 1; 3; 6; 15; 26; 28; 51; 58; 59 ]

let create ?host_name ?(wanted = []) ~random mac =
  {
    mac;
    host_name;
    wanted = List.sort_uniq compare (wanted @ understood);
    random;
    state = Stopped;
    xid = 0;
    began = 0;
    at = max_int;
    tries = 0;
    failures = 0;
    declines = 0;
    seeking = 0;
    offer = None;
    avoided = [];
    lease = None;
    renew = max_int;
    rebind = max_int;
  }

let state t = t.state
let lease t = t.lease

(* Two seconds, doubled each time up to 64, give or take half a second (section 4.1, which starts at
   four: a unikernel that boots faster than that should not wait so long for one lost packet). *)
let backoff t =
  let base = min 64 (1 lsl min 6 (1 + t.tries)) * second in
  base - (second / 2) + (t.random 1000 * 1_000_000)

let message t ~now kind =
  let m = Dhcpv4.empty kind ~reply:false ~xid:t.xid t.mac in
  let id = "\001" ^ Macaddr.to_octets t.mac in
  {
    m with
    secs = max 0 ((now - t.began) / second);
    wanted = t.wanted;
    host_name = t.host_name;
    client_id = Some id;
  }

(* In a message that nobody answers less may be said (section 4.4.1, table 5). *)
let last_word m = { m with Dhcpv4.secs = 0; wanted = []; host_name = None }
let fresh_xid t = t.xid <- (t.random 0x10000 lsl 16) lor t.random 0x10000

(* Servers send their answer to the offered address, which is not configured yet. A client without an address accepts
   such packets; one that still uses an old address would not, and asks for broadcast answers (section 4.1). *)
let to_all t (m : Dhcpv4.t) = Broadcast { m with broadcast = t.lease <> None }
let discover t ~now = to_all t (message t ~now Discover)

let request t ~now (offer : Dhcpv4.t) =
  to_all t { (message t ~now Request) with requested = Some offer.your; server = offer.server }

(* In renewal the address is in use: it goes into ciaddr, and neither server nor requested address
   are named (table 5). *)
let renewal t ~now lease =
  { (message t ~now Request) with client = Ipaddr.V4.Prefix.address lease.address }

let reboot t ~now lease =
  Broadcast
    { (message t ~now Request) with requested = Some (Ipaddr.V4.Prefix.address lease.address) }

let select t ~now =
  t.state <- Selecting;
  t.offer <- None;
  t.tries <- 0;
  t.began <- now;
  fresh_xid t;
  t.at <- now + backoff t;
  [ discover t ~now ]

let start t ~now =
  match t.state with
  | Stopped ->
      t.seeking <- now;
      select t ~now
  | Init | Selecting | Requesting | Rebooting | Bound | Renewing | Rebinding -> []

(* What was offered is not to be had: another server may do better, although it answers later. No more of them are
   remembered than a network may have in earnest. *)
let avoid t (offer : Dhcpv4.t) =
  match offer.server with
  | Some server when List.length t.avoided < 8 -> t.avoided <- server :: t.avoided
  | Some _ | None -> ()

let wait t ~now ns =
  t.state <- Init;
  t.offer <- None;
  t.at <- now + ns

(* {1 Leases} *)

let classful a =
  let n = Field.int_of_v4 a lsr 24 in
  if n < 128 then 8 else if n < 192 then 16 else 24

let prefix_bits (m : Dhcpv4.t) =
  match m.subnet_mask with
  | None -> Some (classful m.your)
  | Some netmask ->
      Ipaddr.V4.Prefix.of_netmask ~netmask ~address:m.your
      |> Result.to_option |> Option.map Ipaddr.V4.Prefix.bits

(* A lease of a few seconds would have us do little else than renew it; and so would one that is to be renewed after
   a few seconds, or at once. *)
let least_lease = 60
let least_time = 30

let lease_of t ~now ~server (m : Dhcpv4.t) =
  match m.lease_time with
  | None -> None
  | Some seconds ->
      Option.map
        (fun bits ->
          let for_ever = seconds = 0xffffffff in
          let seconds = max least_lease seconds in
          let part ~least default = function
            | Some s when s >= least && s < seconds -> s
            | Some _ | None -> default
          in
          (* T1 has to find room before T2. *)
          let t2 = part ~least:(2 * least_time) (seconds * 7 / 8) m.rebinding_time in
          let t1 = part ~least:least_time (seconds / 2) m.renewal_time in
          let t1 = if t1 < t2 then t1 else max least_time (t2 / 2) in
          let at s = if for_ever then max_int else now + (s * second) in
          t.renew <- at t1;
          t.rebind <- at t2;
          let address = Ipaddr.V4.Prefix.make bits m.your in
          let is_host a = Result.is_ok (Routes.check_host (Ipaddr.V4.Prefix.make 32 a)) in
          {
            address;
            routers = List.filter (fun a -> Result.is_ok (Routes.check_gateway address a)) m.routers;
            dns = List.filter is_host m.dns;
            domain = m.domain_name;
            mtu = (match m.mtu with Some n when n >= 576 -> Some n | Some _ | None -> None);
            server;
            until = at seconds;
            options = Dhcpv4.options m;
          })
        (prefix_bits m)

(* Why nothing can be made of an offer, or of an acknowledgement, which may say something else. *)
let unusable (m : Dhcpv4.t) =
  if m.lease_time = None then Some "it has no lease time (option 51)"
  else if m.server = None then Some "it does not name the server (option 54)"
  else
    match prefix_bits m with
    | None -> Some "its subnet mask has gaps (option 1)"
    | Some bits -> (
        match Routes.check_host (Ipaddr.V4.Prefix.make bits m.your) with
        | Ok () -> None
        | Error why -> Some why)

let bind t ~now ~server m =
  match unusable { m with server = Some server } with
  | Some why -> [ Unusable { server = Some server; why } ]
  | None ->
      let lease = lease_of t ~now ~server m in
      Option.iter
        (fun _ ->
          t.seeking <- now;
          t.state <- Bound;
          t.failures <- 0;
          t.offer <- None;
          t.avoided <- [];
          t.lease <- lease;
          t.at <- t.renew)
        lease;
      List.map (fun lease -> Configure lease) (Option.to_list lease)

(* Nothing was gained: pause, longer each time, so that a server that refuses for ever is not asked
   without end. *)
let give_up t ~now =
  let had = t.lease <> None in
  t.lease <- None;
  t.failures <- t.failures + 1;
  wait t ~now (min 64 (1 lsl min 6 (t.failures - 1)) * second);
  if had then [ Deconfigure ] else []

let same a b = Ipaddr.V4.compare a b = 0

(* Who is avoided has its turn if nobody else has offered anything by the second question. *)
let is_avoided t server =
  t.tries = 0 && match server with Some server -> List.mem server t.avoided | None -> false

let input t ~now (m : Dhcpv4.t) =
  if (not m.reply) || m.xid <> t.xid || Macaddr.compare m.mac t.mac <> 0 then []
  else
    match (t.state, m.kind, m.server) with
    | Selecting, Offer, server when unusable m <> None ->
        [ Unusable { server; why = Option.get (unusable m) } ]
    | Selecting, Offer, server when is_avoided t server -> []
    | Selecting, Offer, Some _ ->
        t.seeking <- now;
        t.state <- Requesting;
        t.offer <- Some m;
        t.tries <- 0;
        t.at <- now + backoff t;
        [ request t ~now m ]
    | Requesting, Ack, server -> (
        match t.offer with
        | Some offer when same offer.your m.your && (server = None || server = offer.server) ->
            bind t ~now ~server:(Option.get offer.server) m
        | Some _ | None -> [])
    | Requesting, Nak, server -> (
        match t.offer with
        | Some offer when server = offer.server ->
            avoid t offer;
            Unusable { server; why = "the server refuses it after all" } :: give_up t ~now
        | Some _ | None -> [])
    | (Renewing | Rebinding | Rebooting), Ack, server -> (
        match t.lease with
        | Some lease when same (Ipaddr.V4.Prefix.address lease.address) m.your ->
            bind t ~now ~server:(Option.value server ~default:lease.server) m
        | Some _ | None -> [])
    | (Renewing | Rebinding), Nak, _ -> give_up t ~now
    | Rebooting, Nak, _ ->
        (* Another network, whose server is there: it is asked at once. *)
        t.lease <- None;
        Deconfigure :: select t ~now
    | (Init | Bound | Stopped), _, _ -> []
    | Selecting, (Discover | Offer | Request | Decline | Ack | Nak | Release | Inform), _ -> []
    | Requesting, (Discover | Offer | Request | Decline | Release | Inform), _ -> []
    | ( (Renewing | Rebinding | Rebooting),
        (Discover | Offer | Request | Decline | Release | Inform),
        _ ) ->
        []

(* Section 3.1, point 5: at least ten seconds. *)
let decline_wait = 10 * second

(* Perhaps on another network now: INIT-REBOOT (section 3.2). The address stays in use meanwhile, as most
   links come back where they were, and connections live on. *)
let link_changed t ~now =
  (* On another network, the same address is another server's. *)
  t.avoided <- [];
  match (t.state, t.lease) with
  | (Selecting | Requesting | Bound | Renewing | Rebinding | Rebooting), Some lease ->
      t.state <- Rebooting;
      t.offer <- None;
      t.tries <- 0;
      t.began <- now;
      t.seeking <- now;
      fresh_xid t;
      t.at <- now + backoff t;
      [ reboot t ~now lease ]
  (* Whose server the offer was is not here, perhaps. *)
  | (Selecting | Requesting), None -> select t ~now
  | Init, _ ->
      (* A network on which nothing was declined yet, perhaps. *)
      t.declines <- 0;
      t.at <- min t.at (now + decline_wait);
      []
  | (Stopped | Bound | Renewing | Rebinding | Rebooting), _ -> []

let declined t ~now =
  match t.lease with
  | None -> []
  | Some lease ->
      let decline =
        {
          (last_word (message t ~now Decline)) with
          requested = Some (Ipaddr.V4.Prefix.address lease.address);
          server = Some lease.server;
        }
      in
      t.lease <- None;
      (* Longer each time: a station that claims every address offered would have us exhaust the server's pool. *)
      wait t ~now (decline_wait lsl min 6 t.declines);
      t.declines <- t.declines + 1;
      [ Deconfigure; Broadcast decline ]

let stop t ~now =
  let actions =
    match t.lease with
    | None -> []
    | Some lease ->
        let release =
          { (last_word (renewal t ~now lease)) with kind = Release; server = Some lease.server }
        in
        [ Unicast { server = lease.server; message = release }; Deconfigure ]
  in
  t.state <- Stopped;
  t.lease <- None;
  t.at <- max_int;
  actions

let next t =
  let at = match t.lease with Some lease -> min t.at lease.until | None -> t.at in
  if at = max_int then None else Some at

(* Half of what is left, but not more often than once a minute (section 4.4.5). *)
let retry_before t ~now limit = t.at <- min limit (now + max (60 * second) ((limit - now) / 2))

let start_renewal t ~now lease =
  t.state <- Renewing;
  t.declines <- 0;
  t.began <- now;
  fresh_xid t;
  retry_before t ~now t.rebind;
  [ Unicast { server = lease.server; message = renewal t ~now lease } ]

let max_requests = 4

(* Requests for the old address before any is taken: a server that does not know it may keep silent. *)
let max_reboots = 2

(* From this repetition on, some ten seconds after the first question, it is logged that no server answers. *)
let silent_from = 3

let tick t ~now =
  match (t.state, t.lease) with
  (* Whatever is being done about another one (section 4.4.5). *)
  | _, Some lease when now >= lease.until ->
      t.lease <- None;
      Deconfigure :: select t ~now
  | _, _ when t.at > now -> []
  | Stopped, _ ->
      t.at <- max_int;
      []
  | Init, _ -> select t ~now
  | Selecting, _ ->
      t.tries <- t.tries + 1;
      t.at <- now + backoff t;
      let silence =
        if t.tries >= silent_from then [ Silence ((now - t.seeking) / second) ] else []
      in
      discover t ~now :: silence
  | Rebooting, Some lease when t.tries + 1 < max_reboots ->
      t.tries <- t.tries + 1;
      t.at <- now + backoff t;
      [ reboot t ~now lease ]
  | Rebooting, _ -> select t ~now
  | Requesting, _ -> (
      match t.offer with
      | Some offer when t.tries < max_requests ->
          t.tries <- t.tries + 1;
          t.at <- now + backoff t;
          [ request t ~now offer ]
      | Some offer ->
          avoid t offer;
          Unusable { server = offer.server; why = "the server does not confirm it" }
          :: select t ~now
      | None -> select t ~now)
  | (Bound | Renewing | Rebinding), None -> select t ~now
  | Bound, Some lease -> start_renewal t ~now lease
  | Renewing, Some lease when now >= t.rebind ->
      t.state <- Rebinding;
      retry_before t ~now lease.until;
      [ Broadcast (renewal t ~now lease) ]
  | Renewing, Some lease ->
      retry_before t ~now t.rebind;
      [ Unicast { server = lease.server; message = renewal t ~now lease } ]
  | Rebinding, Some lease ->
      retry_before t ~now lease.until;
      [ Broadcast (renewal t ~now lease) ]
