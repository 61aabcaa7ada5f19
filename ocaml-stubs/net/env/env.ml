type t = { now : unit -> int; sleep : int -> unit Lwt.t; random : int -> string }

let missing _ = failwith "the network stack needs Env.install first"
let current = ref { now = missing; sleep = missing; random = missing }
let install t = current := t
let read = ref 0

let now () =
  let now = !current.now () in
  read := now;
  now

let recent () = !read
let sleep ns = !current.sleep ns
let random n = !current.random n

let random_int n =
  if n <= 0 || n > 0x40000000 then invalid_arg "Env.random_int";
  (* 63 bits of which n uses at most 30: the bias is below 2^-32. *)
  Int64.to_int (String.get_int64_le (random 8) 0) land max_int mod n

let in_the_next_turn = ref (fun f -> Lwt.on_success (Lwt.pause ()) f)
let install_soon f = in_the_next_turn := f
let soon f = !in_the_next_turn f
let interludes = ref (fun _ -> ignore)
let install_interlude f = interludes := f
let at_interlude f = !interludes f
let forgetting = ref ignore
let install_forget f = forgetting := f
let forget () = !forgetting ()

let attempting =
  ref (fun f ->
      f ();
      true)

let install_attempt f = attempting := f
let attempt f = !attempting f

let rec each f = function
  | [] -> ()
  | x :: rest -> (
      match f x with
      | () -> each f rest
      | exception Out_of_memory ->
          (try each f rest with Out_of_memory -> ());
          raise Out_of_memory)

let each_then f list finish =
  match each f list with
  | () -> finish ()
  | exception Out_of_memory ->
      finish ();
      raise Out_of_memory

let ms n = n * 1_000_000
let sec n = n * 1_000_000_000
