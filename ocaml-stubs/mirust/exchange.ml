(* The words of 64 bits that both languages read and write without a call. No bound is checked: the places are
   constants, or a token's, of which there are not more than [turn_tokens_max]. *)

external get : Abi.words -> int -> int64 = "%caml_bigstring_get64u"
external set : Abi.words -> int -> int64 -> unit = "%caml_bigstring_set64u"

let words = Abi.turn_words ()
let get at = Int64.to_int (get words (8 * at))
let set at n = set words (8 * at) (Int64.of_int n)
let forget () = set Header.turn_now 0

let now () =
  match get Header.turn_now with
  | 0 ->
      ignore (Abi.turn_look () : int);
      get Header.turn_now
  | now -> now

let completions () = get Header.turn_completions <> 0

(* Rust has something to do that need not wait for the poll. *)
let asked = ref false
let ask () = asked := true
let finish () = ignore (Abi.turn_end () : int)

let wake token =
  if get Header.turn_woken = Header.turn_tokens_max then finish ();
  let n = get Header.turn_woken in
  set (Header.turn_tokens + n) token;
  set Header.turn_woken (n + 1);
  asked := true

(* Runs one task, then sixteen, then all others. After the first two steps there is an interlude if at least three times
   as many tasks are still to come; fewer are done soon enough. The last step runs only once, because each call has its
   own time budget. *)
let run_all () = ignore (Abi.exchange max_int : int)

let run_some most ~interlude rest =
  let left = Abi.exchange most in
  if left >= 3 * most then (
    interlude ();
    rest ())
  else if left > 0 then run_all ()

let run_stages ~interlude = run_some 1 ~interlude (fun () -> run_some 16 ~interlude run_all)

let run ~interlude =
  !asked
  &&
  (asked := false;
   run_stages ~interlude;
   true)
