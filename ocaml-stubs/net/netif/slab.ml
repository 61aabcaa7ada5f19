type t = { size : int; mutable slab : Cstruct.t; mutable used : int }

let create size = { size; slab = Cstruct.empty; used = 0 }

let alloc t n =
  if n * 4 > t.size then Cstruct.create_unsafe n
  else (
    if t.used + n > Cstruct.length t.slab then (
      t.slab <- Cstruct.create_unsafe t.size;
      t.used <- 0);
    let b = Cstruct.sub t.slab t.used n in
    t.used <- (t.used + n + 7) land lnot 7;
    b)
