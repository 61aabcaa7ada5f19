open Mirust_net_engine
open Mirust_net_env
open Lwt.Infix
module W = Mirust_wire

let src = Logs.Src.create "mirust.dns" ~doc:"DNS client"

module Log = (val Logs.src_log src : Logs.LOG)

let port = 53

(* Others provoke them. *)
let failures = Mirust_net_env.Thin.create ()

module type S = sig
  type stack
  type t

  val create : ?config:Dns_engine.config -> nameservers:(unit -> Ipaddr.t list) -> stack -> t

  type error = [ Dns_engine.failure | `Msg of string ]

  val pp_error : error Fmt.t

  val resolve :
    t -> [ `host ] Domain_name.t -> W.Dns.kind -> (Ipaddr.t list, Dns_engine.failure) result Lwt.t

  val gethostbyname :
    t -> [ `host ] Domain_name.t -> (Ipaddr.V4.t, [> `Msg of string ]) result Lwt.t

  val gethostbyname6 :
    t -> [ `host ] Domain_name.t -> (Ipaddr.V6.t, [> `Msg of string ]) result Lwt.t
end

module type Listen = sig
  type udp
  type callback

  val listen : udp -> port:int -> peer:Ipaddr.t * int -> callback -> unit
  val is_free : udp -> port:int -> bool
end

module Make_bound
    (S : Mirust_mirage_types.Tcpip.Stack.V4V6)
    (L : Listen with type udp = S.UDP.t and type callback = S.UDP.callback) =
struct
  type stack = S.t
  type waiter = (Ipaddr.t list, Dns_engine.failure) result Lwt.u

  type t = {
    config : Dns_engine.config;
    stack : S.t;
    nameservers : unit -> Ipaddr.t list;
    engine : waiter Dns_engine.t;
    timer : Timer.t Lazy.t;
    mutable places : int; (* for answers over TCP *)
    waiting : unit Lwt.u Queue.t;
  }

  let in_background f =
    Lwt.dont_wait f (fun e ->
        Mirust_net_env.Thin.warn failures (module Log) (fun () -> Printexc.to_string e))

  (* [has_place] changes together with the number: wherever memory runs out, the place comes back. *)
  let rec take_place t has_place =
    if t.places > 0 then (
      t.places <- t.places - 1;
      has_place := true;
      Lwt.return_unit)
    else
      let promise, resolver = Lwt.wait () in
      Queue.add resolver t.waiting;
      promise >>= fun () -> take_place t has_place

  let give_place t has_place =
    if !has_place then t.places <- t.places + 1;
    (* Whoever was woken and had no memory to go on wakes the next. *)
    if t.places > 0 && not (Queue.is_empty t.waiting) then
      Lwt.wakeup_later (Queue.take t.waiting) ()

  (* No longer than the engine waits, as closing the flow ends the reader. *)
  let in_time t promise =
    Lwt.choose [ promise; (Env.sleep (2 * t.config.timeout) >|= fun () -> None) ]

  (* A copy, as the message may come in single bytes, and what begins it may wait for a place, while the device needs
     its memory. *)
  let read flow =
    S.TCP.read flow >|= function
    | Ok (`Data b) -> Some (Cstruct.to_string b)
    | Ok `Eof | Error _ -> None

  let ask t flow message =
    let length = Cstruct.create 2 in
    W.Field.set_u16 length 0 (Cstruct.length message);
    in_time t
      ( S.TCP.writev flow [ length; message ] >>= function
        | Error _ -> Lwt.return_none
        | Ok () -> read flow )

  (* The rest of what begins with [first]. Messages over TCP follow their length in two bytes (RFC 1035 section
     4.2.2). *)
  let answer t flow first =
    let arrived = Buffer.create 512 in
    let rec add piece =
      Buffer.add_string arrived piece;
      let have = Buffer.length arrived in
      let byte i = Char.code (Buffer.nth arrived i) in
      let wanted = if have < 2 then max_int else 2 + (byte 0 lsl 8) + byte 1 in
      if have >= wanted then Lwt.return_some (Cstruct.of_string (Buffer.sub arrived 2 (wanted - 2)))
      else read flow >>= function None -> Lwt.return_none | Some piece -> add piece
    in
    in_time t (add first)

  let rec perform_all t actions =
    let set_timer () = Timer.set (Lazy.force t.timer) (Dns_engine.next t.engine) in
    Env.each_then (perform t) actions set_timer

  and perform t (action : waiter Dns_engine.action) =
    match action with
    | Ask { server; port = src_port; message } ->
        L.listen (S.udp t.stack) ~port:src_port ~peer:(server, port)
          (fun ~src ~dst:_ ~src_port:from b ->
            if from = port then
              perform_all t
                (Dns_engine.input t.engine ~now:(Env.now ()) ~server:src ~port:src_port b);
            Lwt.return_unit);
        in_background (fun () ->
            S.UDP.write ~src_port ~dst:server ~dst_port:port (S.udp t.stack) message >|= function
            | Ok () -> ()
            | Error e -> Log.debug (fun m -> m "%a: %a" Ipaddr.pp server S.UDP.pp_error e))
    | Release port -> S.UDP.unlisten (S.udp t.stack) ~port
    | Ask_tcp { server; port; message } -> in_background (fun () -> ask_tcp t ~server ~port message)
    | Answer { waiters; result } -> Env.each (fun u -> Lwt.wakeup_later u result) waiters

  and ask_tcp t ~server ~port:local message =
    S.TCP.create_connection (S.tcp t.stack) (server, port) >>= function
    | Error _ -> failed t local
    | Ok flow -> (
        let has_place = ref false in
        (* The server may take its time for the answer: only what has begun to come needs a place. *)
        Lwt.finalize
          (fun () ->
            ask t flow message >>= function
            | None -> Lwt.return_none
            | Some first ->
                take_place t has_place >>= fun () ->
                (* It may have taken long. *)
                if Dns_engine.asks_over_tcp t.engine ~port:local then answer t flow first
                else Lwt.return_none)
          (fun () ->
            give_place t has_place;
            S.TCP.close flow)
        >>= function
        | None -> failed t local
        | Some b ->
            perform_all t (Dns_engine.input t.engine ~now:(Env.now ()) ~server ~port:local b);
            Lwt.return_unit)

  and failed t local =
    perform_all t (Dns_engine.failed t.engine ~now:(Env.now ()) ~port:local);
    Lwt.return_unit

  let create ?(config = Dns_engine.default) ~nameservers stack =
    let is_free port = L.is_free (S.udp stack) ~port in
    let engine = Dns_engine.create ~config ~is_free ~random:Env.random_int () in
    let rec t =
      {
        config;
        stack;
        nameservers;
        engine;
        timer =
          lazy (Timer.create (fun () -> perform_all t (Dns_engine.tick engine ~now:(Env.now ()))));
        places = config.over_tcp;
        waiting = Queue.create ();
      }
    in
    t

  type error = [ Dns_engine.failure | `Msg of string ]

  let pp_error ppf : error -> unit = function
    | #Dns_engine.failure as f -> Dns_engine.pp_failure ppf f
    | `Msg s -> Fmt.string ppf s

  let resolve t name kind =
    let promise, resolver = Lwt.wait () in
    perform_all t
      (Dns_engine.resolve t.engine ~now:(Env.now ()) ~servers:(t.nameservers ()) name kind resolver);
    promise

  let first t name kind of_ip =
    resolve t name kind >|= function
    | Error f -> Error (`Msg (Fmt.str "%a: %a" Domain_name.pp name Dns_engine.pp_failure f))
    | Ok addresses -> (
        match List.find_map of_ip addresses with
        | Some a -> Ok a
        | None -> Error (`Msg "no address"))

  let gethostbyname t name =
    first t name W.Dns.A (function Ipaddr.V4 a -> Some a | Ipaddr.V6 _ -> None)

  let gethostbyname6 t name =
    first t name W.Dns.Aaaa (function Ipaddr.V6 a -> Some a | Ipaddr.V4 _ -> None)
end

module Make (S : Mirust_mirage_types.Tcpip.Stack.V4V6) =
  Make_bound
    (S)
    (struct
      type udp = S.UDP.t
      type callback = S.UDP.callback

      let listen udp ~port ~peer:_ callback = S.UDP.listen udp ~port callback

      (* Mirage's interface does not tell. *)
      let is_free _ ~port:_ = true
    end)
