open Mirage

let main = main "Unikernel.Main" (stackv4v6 @-> block @-> job)
let stack = generic_stackv4v6 default_network
let () = register "stack" [ main $ stack $ block_of_file "disk" ]
