type 'a link = {
  value : 'a;
  mutable before : 'a link option;
  mutable after : 'a link option;
  mutable chain : 'a t option;
}

and 'a t = { mutable head : 'a link option; mutable tail : 'a link option; mutable length : int }

let create () = { head = None; tail = None; length = 0 }
let length t = t.length
let link value = { value; before = None; after = None; chain = None }
let first t = Option.map (fun l -> l.value) t.head

let remove l =
  match l.chain with
  | None -> ()
  | Some t ->
      (match l.before with None -> t.head <- l.after | Some b -> b.after <- l.after);
      (match l.after with None -> t.tail <- l.before | Some a -> a.before <- l.before);
      l.before <- None;
      l.after <- None;
      l.chain <- None;
      t.length <- t.length - 1

let append t l =
  remove l;
  l.before <- t.tail;
  l.chain <- Some t;
  (match t.tail with None -> t.head <- Some l | Some last -> last.after <- Some l);
  t.tail <- Some l;
  t.length <- t.length + 1

let is_in l t = match l.chain with Some c -> c == t | None -> false
