//! What a program needs and an image does not have, in words.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::calls::Chain;
use crate::program::{Input, Program};

/// The undefined symbols in ld's messages, each once.
pub fn parse(messages: &str) -> Vec<String> {
    let mut symbols = Vec::new();
    for line in messages.lines() {
        let Some((_, rest)) = line.split_once("undefined reference to ") else { continue };
        let symbol = rest.trim_matches(|c| c == '`' || c == '\'').to_owned();
        if !symbols.contains(&symbol) {
            symbols.push(symbol);
        }
    }
    symbols
}

/// A part of the C library that an image lacks.
struct Lack {
    /// Its symbols: these, and those that begin with one of the prefixes.
    names: &'static [&'static str],
    prefixes: &'static [&'static str],
    /// What it is.
    what: &'static str,
    /// What to do about it.
    remedy: &'static str,
}

const ONE_PROGRAM: &str = "a domain is one program; call a library for it, or leave it out by a cargo feature;\n    \
    if the program can do without it, --allow-missing links it, and these calls fail";

/// The first that matches counts.
const LACKS: &[Lack] = &[
    Lack {
        names: &[
            "fork", "vfork", "system", "popen", "wait", "waitpid", "wait4", "waitid", "setsid",
            "setpgid",
        ],
        prefixes: &["exec", "posix_spawn"],
        what: "other processes (std::process::Command)",
        remedy: ONE_PROGRAM,
    },
    Lack {
        names: &[
            "setuid",
            "setgid",
            "setgroups",
            "seteuid",
            "setegid",
            "setreuid",
            "setresuid",
            "chroot",
            "initgroups",
        ],
        prefixes: &[],
        what: "other users and roots (std::process::Command again, if that is what was called)",
        remedy: ONE_PROGRAM,
    },
    Lack {
        names: &["sigwait", "sigsuspend", "signalfd", "pause"],
        prefixes: &[],
        what: "signals from outside",
        remedy: "a domain is asked to end by `xl shutdown`; nothing else comes in",
    },
    Lack {
        names: &["dlinfo", "dlmopen", "dlvsym"],
        prefixes: &[],
        what: "shared libraries",
        remedy: "an image has none; link the library statically",
    },
    Lack {
        names: &[],
        prefixes: &["pthread_", "sem_", "sched_"],
        what: "a kind of thread that the runtime does not have",
        remedy: "see docs/libc.md for those that it has",
    },
    Lack {
        names: &[
            "socket",
            "socketpair",
            "connect",
            "bind",
            "listen",
            "accept",
            "accept4",
            "send",
            "sendto",
            "sendmsg",
            "recv",
            "recvfrom",
            "recvmsg",
            "shutdown",
            "getaddrinfo",
            "getsockopt",
            "setsockopt",
            "poll",
            "select",
        ],
        prefixes: &["epoll_", "inotify_", "io_uring_"],
        what: "sockets and events",
        remedy: "see docs/libc.md for those that the runtime has",
    },
    Lack {
        names: &[
            "mkdir", "rmdir", "unlink", "rename", "symlink", "link", "chmod", "fchmod", "chown",
            "truncate", "mount",
        ],
        prefixes: &["unlinkat", "mkdirat", "renameat", "utimens", "futimens", "copy_file_range"],
        what: "files that can be written",
        remedy: "a domain has no file system of that kind",
    },
    Lack {
        names: &["main"],
        prefixes: &[],
        what: "a function `main`",
        remedy: "the crate has #![no_main]: an image begins at C's `main`",
    },
    Lack {
        names: &["__gxx_personality_v0"],
        prefixes: &["_Z"],
        what: "the C++ library",
        remedy: "an image can have GNU's (libstdc++.a, which comes with g++), where a crate asks for it as `stdc++`",
    },
    Lack {
        names: &[],
        prefixes: &[""],
        what: "C symbols that the runtime does not supply",
        remedy: "see docs/libc.md for those that it has",
    },
];

/// Whether a program may have the function if it only fails: it has to do with processes or users, and its result is a
/// number, which can be an error.
pub fn only_fails(symbol: &str) -> bool {
    kind(symbol).1 == ONE_PROGRAM && symbol != "popen"
}

/// What takes the place of a function that only fails: see `ffi/program`.
pub fn stub(symbol: &str) -> &'static str {
    if symbol.starts_with("posix_spawn") { "mirust_no_spawn" } else { "mirust_no_process" }
}

/// The part that a symbol belongs to: what it is, and what to do.
fn kind(symbol: &str) -> (&'static str, &'static str) {
    let has = |lack: &&Lack| {
        lack.names.contains(&symbol)
            || lack.prefixes.iter().any(|prefix| symbol.starts_with(prefix))
    };
    let lack = LACKS.iter().find(has).expect("the last one has every symbol");
    (lack.what, lack.remedy)
}

/// Says what is missing, who asked for it and what to do.
pub fn explain(name: &str, missing: &[String], chains: &[Chain], program: &Program) -> String {
    let mut kinds: BTreeMap<(&str, &str), Vec<&String>> = BTreeMap::new();
    for symbol in missing {
        kinds.entry(kind(symbol)).or_default().push(symbol);
    }
    let mut text = format!("{name} needs what an image does not have\n");
    for ((what, remedy), symbols) in kinds {
        let list: Vec<&str> = symbols.iter().map(|symbol| symbol.as_str()).collect();
        let _ = writeln!(text, "\n  {what}: {}", list.join(", "));
        let mut said: Vec<&Chain> = Vec::new();
        for chain in chains.iter().filter(|chain| list.contains(&chain.symbol.as_str())) {
            // One line for all symbols that the same function asks for.
            if !said.iter().any(|other| other.asked() == chain.asked()) {
                said.push(chain);
            }
        }
        for chain in said {
            let _ = writeln!(text, "    asked for by {chain}");
        }
        let _ = writeln!(text, "    {remedy}");
    }
    let libraries: Vec<&str> = program
        .inputs
        .iter()
        .filter_map(|input| match input {
            Input::Missing(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    if !libraries.is_empty() {
        let _ = writeln!(
            text,
            "\n  a crate wants these libraries of the system, which an image cannot have: {}\n    \
             look for a feature of the crate that builds its own copy (often called `vendored`, `bundled` or `static`)",
            libraries.join(", ")
        );
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::Step;

    #[test]
    fn symbols_are_found_in_the_messages_once() {
        let messages = "ld: a.o: in function `f':\n\
            (.text.f+0x1): undefined reference to `fork'\n\
            ld: b.o:(.text.g+0x1): undefined reference to `execvp'\n\
            ld: c.o: more undefined references to `fork' follow\n\
            (.text.f+0x9): undefined reference to `fork'\n";
        assert_eq!(parse(messages), ["fork", "execvp"]);
        assert_eq!(parse("ld: cannot find x"), [""; 0]);
    }

    #[test]
    fn what_starts_processes_may_fail_but_give_no_pointer() {
        for symbol in ["fork", "execvp", "posix_spawn_file_actions_init", "setgroups", "waitpid"] {
            assert!(only_fails(symbol), "{symbol}");
        }
        assert_eq!(stub("posix_spawnattr_init"), "mirust_no_spawn");
        assert_eq!((stub("fork"), stub("execvp")), ("mirust_no_process", "mirust_no_process"));
        for symbol in ["popen", "fopen64", "_ZdlPv", "sigwait", "main"] {
            assert!(!only_fails(symbol), "{symbol}");
        }
    }

    #[test]
    fn the_crate_that_asked_is_named_with_a_remedy() {
        let step =
            |part: &str, function: &str| Step { part: part.into(), function: function.into() };
        let chain = Chain {
            symbol: "fork".into(),
            steps: vec![
                step("app", "main"),
                step("git", "git::run"),
                step("std", "std::process::Command::spawn"),
            ],
        };
        let program = Program { inputs: vec![Input::Missing("ssl".into())] };
        let text = explain("app", &["fork".into()], &[chain], &program);
        assert!(text.contains("crate git: git::run"), "{text}");
        assert!(text.contains("std::process::Command::spawn"), "{text}");
        assert!(text.contains("a domain is one program"), "{text}");
        assert!(text.contains("vendored") && text.contains("ssl"), "{text}");
    }
}
