(* What has to be set up before anything of this library is used. {!Abi} is below every module that calls the runtime,
   and depends on this one; unused modules are not linked. *)

external version : unit -> (int[@untagged]) = "mirust_native_only" "mirust_abi_version" [@@noalloc]
external init : unit -> (int[@untagged]) = "mirust_native_only" "mirust_init" [@@noalloc]

exception Panic of string
exception Unavailable of string

let () =
  if version () <> Header.abi_version then
    failwith
      (Printf.sprintf "the OCaml libraries speak version %d of the ABI, the runtime %d"
         Header.abi_version (version ()));
  (* Elsewhere the limit on domains makes Domain.spawn fail. Here it would succeed, and two domains could enter Rust
     code at once. *)
  if init () = 1 then
    Domain.before_first_spawn (fun () ->
        prerr_endline
          "Domain.spawn: a Mirust program has one OCaml domain; run more programs instead";
        exit 2);
  (* Rust looks it up when it raises. *)
  Callback.register_exception "mirust_panic" (Panic "");
  Printexc.register_printer (function
    | Panic m -> Some ("Rust panic: " ^ m)
    | Unavailable m -> Some m
    | _ -> None)

(* Called when {!Main.run} begins. *)
let at_start : (unit -> unit) list ref = ref []
