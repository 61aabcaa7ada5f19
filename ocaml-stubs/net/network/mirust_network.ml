open Mirust_stack

let environment =
  {
    Mirust_net_env.Env.now = (fun () -> Int64.to_int (Mirust.Mclock.elapsed_ns ()));
    sleep = (fun ns -> Mirust.Time.ns (Int64.of_int ns));
    random = Mirust.Random.generate;
  }

let init () = Mirust_net_env.Env.install environment
let config ?group () = Mirust.Bootvar.register (Args.config ?group ())

let stack config device =
  init ();
  Stack.connect config device
