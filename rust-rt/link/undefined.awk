# One undefined symbol a line: says which part of a language an image does not have.
function kind(s) {
  if (s ~ /^(socket|socketpair|connect|bind|listen|accept4?|send|sendto|sendmsg|recv|recvfrom|recvmsg|shutdown|getsockopt|setsockopt|getsockname|getpeername|getaddrinfo|freeaddrinfo|gai_strerror|gethostname)$/)
    return "sockets (std::net, OCaml's Unix): use mirust::net, or mirust's feature posix"
  if (s ~ /^(pthread_|sched_|sem_|__pthread)/)
    return "threads (std::thread, OCaml's threads): an image has one; use mirust::spawn or Lwt"
  if (s ~ /^(fork|vfork|exec|posix_spawn|wait|kill|pipe2?$|dup)/)
    return "processes (std::process, OCaml's Unix)"
  if (s ~ /^(open|openat|fopen|stat|fstat|lstat|statx|mkdir|rmdir|unlink|rename|readdir|opendir|closedir|fdopendir|fsync|fdatasync|ftruncate|pread|pwrite|readlink|symlink|link|chmod|chown|utimens|futimens|realpath|getcwd|chdir|copy_file_range|sendfile|flock)/)
    return "files (std::fs, OCaml's Unix): mirust's feature posix has them, to be read"
  if (s ~ /^(unix_|caml_unix_)/)
    return "OCaml's Unix library: no image has it"
  if (s ~ /^(mirust_ocaml_main|mirust_main)$/)
    return "an entry point: link the OCaml object, or define one with mirust::main!"
  return "others"
}
{ list[kind($0)] = list[kind($0)] "\n    " $0 }
END {
  printf "image: %s needs what an image does not have:\n", name
  for (k in list) if (k != "others") printf "  %s%s\n", k, list[k]
  if ("others" in list) printf "  C symbols that the runtime does not supply%s\n", list["others"]
}
