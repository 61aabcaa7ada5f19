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

(* A choice that is made when the program starts. *)
let chosen = if Array.length Sys.argv > 5 then String.uppercase_ascii else String.lowercase_ascii
let both = (fst, snd)
let several a b c d e f g = a + b + c + d + e + f + g

let say () =
  List.iter print_endline (areas [ (module Square); (module Pair); (module Alias); (module Cube) ]);
  Printf.printf "%d %b %b\n" (Pair.perimeter 2) (Even.is 10) (Odd.is 10);
  let set = Strings.of_list [ "b"; "a"; "b" ] in
  print_endline (String.concat "," (Strings.elements set));
  print_endline (try raise (Of_ours 3) with e -> Printexc.to_string e);
  print_endline (Lazy.force late);
  let counter = new counter in
  ignore counter#next;
  Printf.printf "%d %s %d\n" counter#next (word 2)
    (List.fold_left (fun n i -> n + branch i "12 3") 0 [ 0; 2; 4; 9 ]);
  let apply f = f 1 2 3 4 in
  Printf.printf "%s %d %d\n" (chosen "Chosen") (fst both (1, 2)) (apply several 5 6 7);
  Format.printf "@[<v 2>%a@,%s@]@." Format.pp_print_int 7 "format";
  let queue = Queue.create () in
  Seq.iter (fun i -> Queue.add i queue) (Seq.take 3 (Seq.ints 0));
  print_endline (String.concat " " (List.map string_of_int (List.of_seq (Queue.to_seq queue))))
