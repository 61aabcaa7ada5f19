(* A stack that talks to itself, for Rust code that knows tokio's traits alone. *)

open Lwt.Infix
open Mirust_stack

(* The command line is the same for all of these programs. *)
let name = Mirust.Bootvar.register Cmdliner.Arg.(value & opt string "" & info [ "name" ])

external exchange : string -> (string, string) result Lwt.t = "mirust_export_exchange"

let start () =
  ignore (name () : string);
  Mirust.Log.set_level (Some Logs.Error);
  let device = Mirust_net_mock.(Network.attach (Network.create ())) Macaddr.broadcast in
  let cidr = Ipaddr.V4.Prefix.of_string_exn "10.0.0.1/24" in
  let ipv4 = `Static { Stack.cidr; gateway = None } in
  Mirust_network.connect { Stack.default with ipv4; ipv6 = `Off } device >>= fun stack ->
  Mirust_rust.serve stack;
  exchange "10.0.0.1:7" >|= function
  | Ok line -> print_endline ("ocaml: " ^ line)
  | Error e -> print_endline ("ocaml: " ^ e)

let () = Mirust.Main.run (start ())
