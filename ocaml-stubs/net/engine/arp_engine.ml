open Mirust_wire

let second = Neighbour.default.retransmit

(* RFC 5227 section 1.1. *)
let announce_count = 2
let announce_interval = 2 * second
let defend_interval = 10 * second
let answered_within = 2 * second

type own = {
  address : Ipaddr.V4.t;
  mutable left : int; (* announcements still to send *)
  mutable at : int; (* when; max_int: never *)
  mutable defended : int;
}

type 'packet t = {
  mac : Macaddr.t;
  mutable own : own list;
  neighbours : (Ipaddr.V4.t, 'packet) Neighbour.t;
}

type 'packet action =
  | Send of { destination : Macaddr.t; packet : Arp.t }
  | Transmit of { packet : 'packet; mac : Macaddr.t }
  | Unreachable of { target : Ipaddr.V4.t; packets : 'packet list }
  | Overflow of 'packet
  | Conflict of { address : Ipaddr.V4.t; mac : Macaddr.t }

let create ?(config = Neighbour.default) mac =
  { mac; own = []; neighbours = Neighbour.create config }

let neighbours t = t.neighbours
let zero_mac = Macaddr.of_octets_exn "\000\000\000\000\000\000"
let is_ours t mac = Macaddr.compare mac t.mac = 0
let find t address = List.find_opt (fun o -> Ipaddr.V4.compare o.address address = 0) t.own
let addresses t = List.map (fun o -> o.address) t.own

let ask t ~sender_ip ~destination target_ip =
  Send
    {
      destination;
      packet =
        { operation = Request; sender_mac = t.mac; sender_ip; target_mac = zero_mac; target_ip };
    }

let probe t o = ask t ~sender_ip:Ipaddr.V4.any ~destination:Macaddr.broadcast o.address
let announce t o = ask t ~sender_ip:o.address ~destination:Macaddr.broadcast o.address

let start_announcing t ~now o =
  o.left <- announce_count - 1;
  o.at <- now + announce_interval;
  announce t o

let remove t address =
  t.own <- List.filter (fun o -> Ipaddr.V4.compare o.address address <> 0) t.own

let take t address ~defended =
  remove t address;
  let o = { address; left = 0; at = max_int; defended } in
  t.own <- t.own @ [ o ];
  o

let add t ~now address =
  let o = take t address ~defended:min_int in
  [ start_announcing t ~now o ]

(* Not defended until other hosts have had time to answer: one that does had the address first. *)
let claim t ~now address =
  let o = take t address ~defended:(now + answered_within - defend_interval) in
  [ probe t o; start_announcing t ~now o ]

let announce_again t ~now =
  Neighbour.doubt t.neighbours ~now;
  List.map (start_announcing t ~now) t.own

(* Questions about neighbours are asked in the name of the first address; before there is one they
   look like a probe, which is answered as well. *)
let of_neighbour t (a : _ Neighbour.action) =
  match a with
  | Solicit { target; unicast } ->
      let sender_ip = match addresses t with ip :: _ -> ip | [] -> Ipaddr.V4.any in
      ask t ~sender_ip ~destination:(Option.value unicast ~default:Macaddr.broadcast) target
  | Transmit { packet; mac } -> Transmit { packet; mac }
  | Unreachable { target; packets } -> Unreachable { target; packets }
  | Overflow packet -> Overflow packet

let send t ~now target packet =
  List.map (of_neighbour t) (Neighbour.send t.neighbours ~now target packet)

let conflict t o ~now (p : Arp.t) =
  let report = Conflict { address = o.address; mac = p.sender_mac } in
  if o.defended > now - defend_interval then [ report ]
  else (
    o.defended <- now;
    [ report; announce t o ])

let from_host ip =
  Ipaddr.V4.(compare ip any <> 0 && compare ip broadcast <> 0 && not (is_multicast ip))

let input t ~now (p : Arp.t) =
  if is_ours t p.sender_mac || not (Macaddr.is_unicast p.sender_mac) then []
  else
    match find t p.sender_ip with
    | Some o -> conflict t o ~now p
    | None -> (
        match (find t p.target_ip, p.operation) with
        | Some { address; _ }, Request ->
            let reply =
              Send
                {
                  destination = p.sender_mac;
                  packet =
                    {
                      operation = Reply;
                      sender_mac = t.mac;
                      sender_ip = address;
                      target_mac = p.sender_mac;
                      target_ip = p.sender_ip;
                    };
                }
            in
            (* They are about to send: knowing them saves a question in the other direction. *)
            let learnt =
              if from_host p.sender_ip then
                Neighbour.heard t.neighbours ~now p.sender_ip p.sender_mac
              else []
            in
            reply :: List.map (of_neighbour t) learnt
        | (Some _ | None), operation ->
            if not (from_host p.sender_ip) then []
            else
              let solicited = operation = Arp.Reply && is_ours t p.target_mac in
              Neighbour.advertised t.neighbours ~now p.sender_ip ~mac:(Some p.sender_mac) ~solicited
                ~override:true
              |> List.map (of_neighbour t))

let next t =
  let own = List.fold_left (fun at o -> min at o.at) max_int t.own in
  match Neighbour.next t.neighbours with
  | Some at -> Some (min at own)
  | None -> if own = max_int then None else Some own

let tick_own t ~now o =
  if o.at > now then []
  else (
    o.left <- o.left - 1;
    o.at <- (if o.left = 0 then max_int else now + announce_interval);
    [ announce t o ])

let tick t ~now =
  let own = List.concat_map (tick_own t ~now) t.own in
  own @ List.map (of_neighbour t) (Neighbour.tick t.neighbours ~now)
