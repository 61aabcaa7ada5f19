open Mirage

let main = main "Unikernel" job
let () = register "@NAME@" [ main ]
