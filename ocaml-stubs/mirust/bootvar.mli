(** Boot parameters: the kernel's command line (on Unix: the process's arguments).

    The command line is split at spaces. Single quotes preserve everything between them; between
    double quotes, and outside quotes, a backslash escapes the next character. An unterminated quote
    ends with the line. The result is [Sys.argv], with the program's name first. On Xen, leading
    words [NAME=value] set environment variables instead, as before a command in a shell.

    A program that does not use this module ignores its command line.

    {[
      let greeting =
        Bootvar.register Cmdliner.Arg.(value & opt string "hello" & info [ "greeting" ])

      let () = Main.run (Lwt.map (fun () -> print_endline (greeting ())) (Time.ns 1_000L))
    ]} *)

(** The program's name and the parameters. *)
val argv : unit -> string array

(** The command line as the loader gave it, not split; on Unix, the arguments joined and quoted. *)
val cmdline : unit -> string

(** [register term] declares parameters, usually at the toplevel of a module; the function it
    returns gives their value. All registered terms are evaluated together when the first value is
    asked for, or when {!Main.run} begins: a wrong command line then ends the program with exit code
    64 and a message on the console, [--help] with a manual and exit code 0.

    @raise Invalid_argument if the parameters were already evaluated. *)
val register : 'a Cmdliner.Term.t -> unit -> 'a

(** [-l LEVEL], [--logs=LEVEL] with [quiet], [error], [warning], [info] or [debug]. It is always
    registered, and sets the level for both languages. *)
val logs : Logs.level option Cmdliner.Term.t

(** A whole number from [least], which is not negative, to [most], in decimal digits. Anything else
    is a wrong command line, and the message says what is expected. *)
val number : least:int -> most:int -> int Cmdliner.Arg.conv

(** [delegate parser] leaves the evaluation to another library that parses the whole command line,
    such as Mirage_runtime: [parser] is given every term that was or will be registered, except
    {!logs}, and must evaluate it before its value is used. {!Main.run} then evaluates nothing.

    @raise Invalid_argument if the parameters were already evaluated, or delegated. *)
val delegate : (unit Cmdliner.Term.t -> unit) -> unit

(** [eval ~argv term] evaluates one term on its own, without ending the program. Help is printed. *)
val eval :
  ?doc:string ->
  argv:string array ->
  'a Cmdliner.Term.t ->
  ('a, [ `Help | `Error of string ]) result
