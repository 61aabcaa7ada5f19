let with_allocations allocation f =
  let tracker =
    { Gc.Memprof.null_tracker with alloc_minor = allocation; alloc_major = allocation }
  in
  let profile = Gc.Memprof.start ~sampling_rate:1. ~callstack_size:0 tracker in
  let failed = match f () with () -> false | exception Out_of_memory -> true in
  Gc.Memprof.stop ();
  Gc.Memprof.discard profile;
  failed

let fails_at n f =
  let left = ref n in
  with_allocations
    (fun _ ->
      decr left;
      if !left = 0 then raise Out_of_memory else None)
    f

let fails f = with_allocations (fun _ -> raise Out_of_memory) f
