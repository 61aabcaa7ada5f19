let worth = 8192

let pins ~device (view : Cstruct.t) =
  let length = Cstruct.length view in
  (length <= worth && 4 * length <= Bigarray.Array1.dim view.buffer) || device view.buffer

let copy run =
  let b = Cstruct.create_unsafe (Cstruct.lenv run) in
  ignore (Cstruct.fillv ~src:run ~dst:b);
  b

let detached view = try copy [ view ] with Out_of_memory -> view

(* Without memory for it the views stay as they are. *)
let together run = try [ copy run ] with Out_of_memory -> run

(* [run]: views to be copied together, in reverse; no more than [worth] octets of several, lest a part of
   the copy pin the rest of it. *)
let rec compact_run ~device run length = function
  | view :: rest when pins ~device view && (run = [] || length + Cstruct.length view <= worth) ->
      compact_run ~device (view :: run) (length + Cstruct.length view) rest
  | rest when run <> [] -> together (List.rev run) @ compact_run ~device [] 0 rest
  | view :: rest -> view :: compact_run ~device [] 0 rest
  | [] -> []

let compact ~device views = compact_run ~device [] 0 views
