(** How a program gets its runtime.

    A virtual library with two implementations, chosen where an executable is linked:

    - [mirust.unix] (the default) brings the runtime's archive with it, so that [dune exec] and
      [dune test] work on a program without Rust code of its own;
    - [mirust.image] brings nothing. It is for what [make xen] and [make unix] link, and for
      programs with Rust code, whose own archive contains the runtime. *)

(** Which archive this program was linked with: the runtime alone, or the application's own. *)
val archive : [ `Plain | `Own ]
