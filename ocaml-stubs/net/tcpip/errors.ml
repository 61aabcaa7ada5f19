open Mirust_net_env

type t = { seed : int; sources : Bucket.t array; all : Bucket.t }

(* A second: ten to each group of addresses, and some fifty to all. *)
let groups = 64

let create () =
  {
    seed = Env.random_int 0x40000000;
    sources = Array.init groups (fun _ -> Bucket.create ~rate:10 ~burst:10);
    all = Bucket.create ~rate:100 ~burst:100;
  }

let take t ~to_ =
  let now = Env.now () in
  let source = t.sources.(Hashtbl.seeded_hash t.seed to_ land (groups - 1)) in
  Bucket.take source ~now && Bucket.take t.all ~cost:(1 + Env.random_int 3) ~now
