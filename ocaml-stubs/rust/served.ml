[@@@ocamlformat "disable"]

(* Generated from ffi/src/net/serve.rs and numbers.rs: edit those, then run `make header`. *)

let not_taken = -1
let first_error = -2

type error = In_use | Refused | Timed_out | Reset | Aborted | Closed | No_resources | No_route | Too_long | Not_found | Not_local
type side = Read | Write | Both
type setting = Nodelay | Keepalive | User_timeout

module type TYPES = sig
  type flow
  type gauges
  type listener
  type reading
  type socket
  type stream
  type tcp_info
  type tcp_stats
  type udp_stats
end

module Of (T : TYPES) = struct
  (* What is done with listeners, and to get a connection. *)
  external tcp :
    listen:(string -> int -> int -> (T.listener, error) result) ->
    accept:(T.listener -> T.flow option) ->
    listening:(T.listener -> string) ->
    unlisten:(T.listener -> unit) ->
    connect:(string -> (T.flow, error) result Lwt.t) ->
    unit = "mirust_native_only" "mirust_ocaml_net_serve_tcp"

  (* What is done with a connection all the time. *)
  external streams :
    attach:(T.flow -> int -> int -> T.stream) ->
    read:(T.stream -> T.reading) ->
    room:(T.stream -> int) ->
    write:(T.stream -> Cstruct.t -> int) ->
    shutdown:(T.stream -> side -> unit) ->
    close:(T.stream -> bool -> unit) ->
    unit = "mirust_native_only" "mirust_ocaml_net_serve_stream"

  (* What is done with a connection now and then. *)
  external options :
    peer:(T.stream -> string) ->
    local:(T.stream -> string) ->
    set:(T.stream -> setting -> int -> unit) ->
    info:(T.stream -> T.tcp_info) ->
    unit = "mirust_native_only" "mirust_ocaml_net_serve_options"

  (* What is done with UDP. *)
  external udp :
    bind:(string -> int -> (T.socket, error) result) ->
    local:(T.socket -> string) ->
    connect:(T.socket -> string -> unit) ->
    receive:(T.socket -> ((Cstruct.t * string) option, error) result) ->
    send:(T.socket -> string -> Cstruct.t -> (unit, error) result Lwt.t) ->
    set_ttl:(T.socket -> int -> unit) ->
    close:(T.socket -> unit) ->
    unit = "mirust_native_only" "mirust_ocaml_net_serve_udp"

  (* Names. *)
  external names :
    resolve:(string -> (string list, error) result Lwt.t) ->
    servers:(unit -> string list) ->
    interface:(unit -> string list) ->
    unit = "mirust_native_only" "mirust_ocaml_net_serve_names"

  (* Counters. *)
  external figures :
    tcp:(unit -> T.tcp_stats) ->
    udp:(unit -> T.udp_stats) ->
    gauges:(unit -> T.gauges) ->
    unit = "mirust_native_only" "mirust_ocaml_net_serve_figures"
end
