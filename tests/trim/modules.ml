(* Modules in all the ways in which they can be used: what is left out of the program must be what nobody reaches. *)

(* Reached by nobody; what the test looks for. *)
let nobody's n = if n > 0 then [ "a constant of a function that nobody calls" ] else []

module type Shape = sig
  val name : string
  val area : int -> int
end

module Square = struct
  let name = "square"
  let area n = n * n
end

module Twice (S : Shape) = struct
  include S

  let name = "two of " ^ S.name
  let area n = 2 * S.area n
  let perimeter n = 8 * n
end

module Pair = Twice (Square)
module Alias = Pair

let areas shapes =
  List.map (fun (module S : Shape) -> Printf.sprintf "%s %d" S.name (S.area 3)) shapes

module Cube : Shape = struct
  let name = Printf.sprintf "cube of %ss" Square.name
  let faces = ref 6
  let area n = !faces * Square.area n
end

module rec Even : sig
  val is : int -> bool
end = struct
  let is n = n = 0 || Odd.is (n - 1)
end

and Odd : sig
  val is : int -> bool
end = struct
  let is n = n > 0 && Even.is (n - 1)
end

module Strings = Set.Make (String)

exception Of_ours of int

let () =
  Printexc.register_printer (function Of_ours n -> Some (Printf.sprintf "ours, %d" n) | _ -> None)

let late = lazy (String.concat "-" [ "made"; "late" ])

class counter =
  object
    val mutable n = 0

    method next =
      n <- n + 1;
      n
  end

(* A table that the compiler makes of constants, and a switch. *)
let word = function 0 -> "zero" | 1 -> "one" | 2 -> "two" | 3 -> "three" | _ -> "many"

let branch n s =
  match n with
  | 0 -> String.length s
  | 1 -> int_of_string s
  | 2 -> List.length (String.split_on_char ' ' s)
  | 3 -> Hashtbl.hash s land 1
  | 4 -> Char.code s.[0]
  | _ -> -1

(* An index beyond the end of an array is the last thing in a function, and a function that nobody calls follows. *)
let[@inline never] beyond (a : int array) i = a.(i)
let nobody's_too n = [ n ]

let frames f =
  match f () with
  | () -> 0
  | exception Invalid_argument _ -> Printexc.raw_backtrace_length (Printexc.get_raw_backtrace ())

(* The tables of switches: each entry is written as if it counted from itself, so that the later ones seem to refer to
   what is behind the function, which nobody calls. *)
let[@inline never] choose n f =
  match n with
  | 0 -> f 0
  | 1 -> f 37
  | 2 -> f 74
  | 3 -> f 10
  | 4 -> f 47
  | 5 -> f 84
  | 6 -> f 20
  | 7 -> f 57
  | 8 -> f 94
  | 9 -> f 30
  | 10 -> f 67
  | 11 -> f 3
  | 12 -> f 40
  | 13 -> f 77
  | 14 -> f 13
  | 15 -> f 50
  | 16 -> f 87
  | 17 -> f 23
  | 18 -> f 60
  | 19 -> f 97
  | 20 -> f 33
  | 21 -> f 70
  | 22 -> f 6
  | 23 -> f 43
  | 24 -> f 80
  | 25 -> f 16
  | 26 -> f 53
  | 27 -> f 90
  | 28 -> f 26
  | 29 -> f 63
  | 30 -> f 100
  | 31 -> f 36
  | _ -> f n

let nobody's_row n =
  List.map
    (fun (a, b) -> (a * b) + n)
    [ (n, 1); (n + 1, n + 2); (n + 3, n + 4); (n + 5, n + 6); (n + 7, n + 8) ]

(* Modules inside, each of which is a block that is made when the program starts, and other such blocks. *)
module Nobody's = struct
  module Inner = struct
    let f n = if n > 0 then [ "a constant in a module inside, that nobody calls" ] else []
    let g n = f (n + 1)
  end

  let f n = Inner.g (n + 2)
  let table = [| f; Inner.f |]
end

module Outer = struct
  module Copied = struct
    let twice n = 2 * n
    let name = "copied"
  end

  module Copy = Copied

  module Passed = struct
    let name = String.concat " " [ "passed"; "on" ]
    let area n = n + 1
  end

  module Held = struct
    let thrice n = 3 * n
    let cell = ref thrice
    let table = [| thrice; (fun n -> n - 1) |]
  end

  let by_name = [ ("twice", Copied.twice); ("thrice", Held.thrice) ]
end

module Passed = Twice (Outer.Passed)

(* Nobody reads these, but the initialisation of `Follows` reads what they hold. *)
let pair = ("left", "right")

module Defaults = struct
  type t = { host : string; ports : int * int }

  let t = { host = "here"; ports = (1, 2) }
end

module All_constants = struct
  let one = "one"
  let some = Some "some"
  let deep = (("left", "right"), "down")
end

(* A choice that is made when the program starts. *)
let chosen = if Array.length Sys.argv > 5 then String.uppercase_ascii else String.lowercase_ascii
let both = (fst, snd)
let words = Array.make 3 word
let several a b c d e f g = a + b + c + d + e + f + g

let say () =
  List.iter print_endline (areas [ (module Square); (module Pair); (module Alias); (module Cube) ]);
  Printf.printf "%d %b %b\n" (Pair.perimeter 2) (Even.is 10) (Odd.is 10);
  Printf.printf "%s %d %d %d %d %d\n" Outer.Copy.name (Outer.Copy.twice 1) (!Outer.Held.cell 1)
    (Outer.Held.table.(1) 5)
    (List.assoc "thrice" Outer.by_name 2)
    (Passed.perimeter 2);
  let set = Strings.of_list [ "b"; "a"; "b" ] in
  print_endline (String.concat "," (Strings.elements set));
  print_endline (try raise (Of_ours 3) with e -> Printexc.to_string e);
  print_endline (Lazy.force late);
  let chosen_of n = choose n (fun i -> (n * 1000) + i) in
  print_endline (String.concat " " (List.map string_of_int (List.init 34 chosen_of)));
  print_endline (Functor_first.Applied.twice "so");
  Printexc.record_backtrace true;
  let found = frames (fun () -> ignore (beyond [| 1 |] 1)) in
  Printexc.record_backtrace false;
  Printf.printf "%d frames\n" found;
  let counter = new counter in
  ignore counter#next;
  Printf.printf "%d %s %d\n" counter#next
    (words.(1) 2)
    (List.fold_left (fun n i -> n + branch i "12 3") 0 [ 0; 2; 4; 9 ]);
  let apply f = f 1 2 3 4 in
  Printf.printf "%s %d %d\n" (chosen "Chosen") (fst both (1, 2)) (apply several 5 6 7);
  Format.printf "@[<v 2>%a@,%s@]@." Format.pp_print_int 7 "format";
  let queue = Queue.create () in
  Seq.iter (fun i -> Queue.add i queue) (Seq.take 3 (Seq.ints 0));
  print_endline (String.concat " " (List.map string_of_int (List.of_seq (Queue.to_seq queue))))
