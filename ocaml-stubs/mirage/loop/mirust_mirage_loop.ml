external attach : unit -> unit = "mirust_mirage_attach"

external next_turn : (int64[@unboxed]) -> (int[@untagged])
  = "mirust_native_only" "mirust_mirage_next_turn"
[@@noalloc]

(* A shutdown request that nobody awaits. Mirage's own at_exit function runs the loop once more, for the
   hooks. *)
let stop () = Stdlib.exit 0

let turn () =
  Mirust.Log.follow ();
  ignore (next_turn (Mirust.Main.Guest.turn ~stop) : int)

let () =
  Mirust.Time.delegate Mirage_sleep.ns;
  Mirage_runtime.at_exit Mirust.Main.Guest.exit_hooks;
  Mirage_runtime.at_enter_iter turn;
  attach ()
