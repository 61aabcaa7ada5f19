open Mirust_net_env
open Lwt.Infix

type t = {
  id : int;
  mutable seq : int;
  waiting : (int, int * int Lwt.u) Hashtbl.t; (* by sequence number: when sent, whom to tell *)
}

let create () = { id = Env.random_int 0x10000; seq = 0; waiting = Hashtbl.create 4 }
let waiting t = Hashtbl.length t.waiting

let answered t ~id ~seq =
  match Hashtbl.find_opt t.waiting seq with
  | Some (sent, resolver) when id = t.id ->
      Hashtbl.remove t.waiting seq;
      Lwt.wakeup_later resolver (Env.now () - sent)
  | Some _ | None -> ()

let ping t ~timeout send =
  t.seq <- (t.seq + 1) land 0xffff;
  let seq = t.seq in
  let answer, resolver = Lwt.task () in
  Hashtbl.replace t.waiting seq (Env.now (), resolver);
  let answered () =
    send ~id:t.id ~seq >>= function
    | Ok () -> Lwt.map Result.ok answer
    | Error _ -> Lwt.return_error `No_route
  and late () = Env.sleep timeout >|= fun () -> Error `Timeout in
  Lwt.finalize
    (fun () -> Lwt.pick [ answered (); late () ])
    (fun () -> Lwt.return (Hashtbl.remove t.waiting seq))
