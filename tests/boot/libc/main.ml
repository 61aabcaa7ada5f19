(* What OCaml's runtime does through the C library, printed so that a Linux process and an image can
   be compared word by word. *)

let text = Buffer.create 1_000_000
let add format = Printf.bprintf text format
let random = Random.State.make [| 42 |]

let double i =
  match i mod 3 with
  | 0 -> Int64.float_of_bits (Random.State.bits64 random)
  | 1 -> Random.State.float random 1000.
  | _ -> Random.State.float random 1e-3

let read_back s f = if Float.compare (float_of_string s) f <> 0 then failwith ("read back: " ^ s)

let doubles () =
  for i = 0 to 5_000 do
    let f = double i in
    add "%f %e %g %h %F %.0f %.3e %.15g %.17g %20.10f %+g % e %s\n" f f f f f f f f f f f f
      (string_of_float f);
    read_back (Printf.sprintf "%.17g" f) f;
    read_back (Printf.sprintf "%h" f) f;
    List.iter (add "%h ")
      Float.
        [
          floor f;
          ceil f;
          round f;
          trunc f;
          rem f 3.7;
          sqrt f;
          fma f 2.3 1e-3;
          fst (frexp f);
          fst (modf f);
          ldexp f 3;
          succ f;
          pred f;
          copy_sign f (-1.);
        ]
  done

let integers () =
  for i = 0 to 1_000 do
    let n = Random.State.bits random - (i * 1_000_000) in
    add "%d %x %X %o %08d %-12d| %+d %Ld %lu %nx\n" n n n n n n n (Int64.of_int n) (Int32.of_int n)
      (Nativeint.of_int n)
  done;
  Scanf.sscanf "1 2.5 abc 0x1F 3.25e3" "%d %f %s %i %g" (add "%d %f %s %d %g\n")

let attempt name f =
  match f () with
  | () -> Printf.printf "%s: done\n" name
  | exception e -> Printf.printf "%s: %s\n" name (Printexc.to_string e)

let () =
  doubles ();
  integers ();
  Printf.printf "%d bytes, digest %s\n" (Buffer.length text)
    (Digest.to_hex (Digest.string (Buffer.contents text)));
  attempt "open for reading" (fun () -> ignore (open_in "/nowhere/file"));
  attempt "open for writing" (fun () -> ignore (open_out "/nowhere/file"));
  attempt "exists" (fun () -> Printf.printf "%b " (Sys.file_exists "/nowhere"));
  attempt "directory" (fun () -> ignore (Sys.readdir "/nowhere"));
  attempt "remove" (fun () -> Sys.remove "/nowhere/file");
  attempt "standard input" (fun () -> ignore (input_char stdin));
  attempt "variable" (fun () -> ignore (Sys.getenv "NOWHERE"));
  attempt "variable that is set" (fun () -> print_string (Sys.getenv "MIRUST_TEST" ^ " "));
  attempt "arguments" (fun () -> Printf.printf "%s " Sys.argv.(1));
  attempt "size" (fun () -> ignore (Bigarray.Array1.create Char C_layout (1 lsl 45)));
  attempt "mutex locked twice" (fun () ->
      let m = Mutex.create () in
      Mutex.lock m;
      Mutex.lock m);
  attempt "mutex not locked" (fun () -> Mutex.unlock (Mutex.create ()));
  attempt "condition" (fun () -> Condition.broadcast (Condition.create ()));
  attempt "signal" (fun () -> Sys.set_signal Sys.sigint Sys.Signal_ignore);
  attempt "random" (fun () -> Random.self_init ());
  attempt "clocks" (fun () -> if Sys.time () < 0. then failwith "negative");
  attempt "heap" (fun () ->
      ignore (List.init 100_000 string_of_int);
      Gc.compact ());
  at_exit (fun () -> print_endline "at exit")
