type _ Effect.t += Await : 'a Lwt.t -> 'a Effect.t

let await promise =
  match Lwt.state promise with
  | Return v -> v
  | Fail e -> raise e
  | Sleep -> Effect.perform (Await promise)

let run f =
  let open Effect.Deep in
  (* The promise for the rest is returned from a bind: Lwt merges it with the previous promise, so that a fibre may
     wait any number of times without building a chain. *)
  let effc : type a b. a Effect.t -> ((a, b Lwt.t) continuation -> b Lwt.t) option = function
    | Await promise ->
        Some (fun rest -> Lwt.try_bind (fun () -> promise) (continue rest) (discontinue rest))
    | _ -> None
  in
  match_with f () { retc = Lwt.return; exnc = Lwt.fail; effc }

let fork f = Lwt.async (fun () -> run f)

let all fs =
  let result f () = match f () with v -> Ok v | exception e -> Error e in
  List.map (fun f -> run (result f)) fs
  |> Lwt.all |> await
  |> List.map (function Ok v -> v | Error e -> raise e)

module Make (S : Mirust_mirage_types.Tcpip.Stack.V4V6) = struct
  module TCP = S.TCP

  type flow = TCP.flow

  let read flow = await (TCP.read flow)
  let write flow b = await (TCP.write flow b)
  let writev flow bs = await (TCP.writev flow bs)
  let close flow = await (TCP.close flow)
  let connect stack peer = await (TCP.create_connection (S.tcp stack) peer)

  let listen stack ~port serve =
    TCP.listen (S.tcp stack) ~port (fun flow ->
        run (fun () -> Fun.protect ~finally:(fun () -> close flow) (fun () -> serve flow)))

  let send stack ?src_port ~dst ~dst_port b =
    await (S.UDP.write ?src_port ~dst ~dst_port (S.udp stack) b)
end
