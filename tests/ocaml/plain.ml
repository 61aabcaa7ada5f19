(* A program without Rust of its own gets the runtime's archive by itself: mirust.unix is the default
   implementation of mirust.platform. *)

let () =
  assert (Mirust_platform.archive = `Plain);
  Mirust.Main.run (Mirust.Time.ns 1_000_000L)
