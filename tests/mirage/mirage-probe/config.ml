open Mirage

let main = main "Unikernel" ~packages:[ package "mirage-xen" ] job
let () = register "probe" [ main ]
