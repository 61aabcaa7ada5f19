//! The domain as a Linux process: real clock, real descriptors, real signals.
//!
//! The domain belongs to one thread, so the cases run one after the other on the main thread.

fn main() {
    cases::run();
}

mod cases {
    use std::cell::Cell;
    use std::io::{Read, Write};
    use std::os::fd::IntoRawFd;
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::ExitStatusExt;
    use std::rc::Rc;
    use std::time::Duration;

    use mirust_executor::domain;
    use mirust_executor::poll::Ready;
    use mirust_executor::shutdown::ShutdownReason;
    use mirust_executor::time::Instant;
    use mirust_unix::{self as unix, Errno, Fd};

    const MS: Duration = Duration::from_millis(1);

    pub fn run() {
        match std::env::args().nth(1).as_deref() {
            Some("recurse") => {
                unix::report_stack_overflow();
                println!("{}", recurse(&[0; 64]));
            }
            Some("stray") => {
                unix::report_stack_overflow();
                // SAFETY: not at all: nothing is mapped there, and the process is to end.
                unsafe { std::ptr::without_provenance_mut::<u8>(4096).write_volatile(0) };
            }
            _ => all(),
        }
    }

    fn all() {
        let cases: &[(&str, fn())] = &[
            ("a_sleep_takes_its_time", a_sleep_takes_its_time),
            ("the_wall_clock_is_that_of_the_system", the_wall_clock_is_that_of_the_system),
            ("a_read_waits_for_bytes_and_sees_the_end", a_read_waits_for_bytes_and_sees_the_end),
            ("a_write_waits_for_room", a_write_waits_for_room),
            ("reader_and_writer_share_a_descriptor", reader_and_writer_share_a_descriptor),
            ("a_regular_file_is_refused", a_regular_file_is_refused),
            ("a_timeout_leaves_the_descriptor_usable", a_timeout_leaves_the_descriptor_usable),
            ("wakes_of_another_thread_arrive", wakes_of_another_thread_arrive),
            ("completions_of_another_thread_arrive", completions_of_another_thread_arrive),
            ("another_thread_cannot_use_the_domain", another_thread_cannot_use_the_domain),
            ("a_descriptor_signals_ocaml", a_descriptor_signals_ocaml),
            ("random_bytes_differ", random_bytes_differ),
            ("sigterm_asks_for_the_end", sigterm_asks_for_the_end),
            ("a_stack_overflow_is_told", a_stack_overflow_is_told),
            ("other_faults_are_left_to_others", other_faults_are_left_to_others),
        ];
        for (name, case) in cases {
            case();
            println!("test {name} ... ok");
        }
    }

    #[allow(unconditional_recursion)]
    fn recurse(frame: &[u64; 64]) -> u64 {
        let next = std::hint::black_box([frame[0] + 1; 64]);
        recurse(&next) + next[1]
    }

    /// What this program says to standard error, and by which signal it ends, if it is called so.
    fn end_of(argument: &str) -> (String, Option<i32>) {
        let program = std::env::current_exe().unwrap();
        let output = std::process::Command::new(program).arg(argument).output().unwrap();
        (String::from_utf8(output.stderr).unwrap(), output.status.signal())
    }

    fn a_stack_overflow_is_told() {
        let (said, signal) = end_of("recurse");
        assert!(said.starts_with("crashed: stack overflow: access to 0x"), "{said}");
        assert_eq!(signal, Some(11));
    }

    fn other_faults_are_left_to_others() {
        assert_eq!(end_of("stray"), (String::new(), Some(11)));
    }

    /// A connected pair: one end for the domain, one for the other side.
    fn pair() -> (Fd, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        // SAFETY: `into_raw_fd` gives an open descriptor away.
        (unsafe { Fd::from_raw_fd(ours.into_raw_fd()) }.unwrap(), theirs)
    }

    fn a_sleep_takes_its_time() {
        let start = domain::now();
        domain::block_on(domain::sleep(20 * MS));
        let slept = domain::now().duration_since(start);
        assert!(slept >= 20 * MS, "{slept:?}");
    }

    fn the_wall_clock_is_that_of_the_system() {
        let system = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let ours = domain::wall();
        assert!(ours >= system && ours - system < Duration::from_secs(5));
    }

    fn a_read_waits_for_bytes_and_sees_the_end() {
        let (fd, mut peer) = pair();
        let reader = domain::spawn(async move {
            let mut all = Vec::new();
            let mut buf = [0; 4];
            loop {
                match fd.read(&mut buf).await.unwrap() {
                    0 => return all,
                    n => all.extend_from_slice(&buf[..n]),
                }
            }
        });
        domain::block_on(async {
            domain::sleep(MS).await;
            peer.write_all(b"six by").unwrap();
            domain::sleep(MS).await;
            peer.write_all(b" nine").unwrap();
            drop(peer);
        });
        assert_eq!(domain::block_on(reader).unwrap(), b"six by nine");
    }

    fn a_write_waits_for_room() {
        let (fd, mut peer) = pair();
        let total = 1 << 20;
        let before = domain::stats();
        let writer = domain::spawn(async move {
            let block = [7; 4096];
            let mut written = 0;
            while written < total {
                written += fd.write(&block[..block.len().min(total - written)]).await.unwrap();
            }
        });
        let reader = std::thread::spawn(move || {
            std::thread::sleep(5 * MS);
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all.len()
        });
        domain::block_on(writer).unwrap();
        assert_eq!(reader.join().unwrap(), total);
        assert!(domain::stats().blocks > before.blocks);
    }

    fn reader_and_writer_share_a_descriptor() {
        let (fd, mut peer) = pair();
        let fd = Rc::new(fd);
        let reading = Rc::clone(&fd);
        let reader = domain::spawn(async move {
            let mut buf = [0; 16];
            let n = reading.read(&mut buf).await.unwrap();
            buf[..n].to_vec()
        });
        let full = Rc::new(Cell::new(false));
        let filled = Rc::clone(&full);
        let writer = domain::spawn(async move {
            // Fills the socket, so that both directions are waited for.
            while domain::timeout(MS, fd.write(&[1; 65536])).await.is_ok() {}
            filled.set(true);
            fd.writable().await
        });
        while !full.get() {
            domain::block_on(domain::sleep(MS));
        }
        peer.write_all(b"hello").unwrap();
        assert_eq!(domain::block_on(reader).unwrap(), b"hello");
        assert!(!writer.is_finished());
        // The writer's interest survived the reader's event.
        peer.set_nonblocking(true).unwrap();
        while peer.read(&mut [0; 65536]).is_ok() {}
        domain::block_on(writer).unwrap().unwrap();
    }

    fn a_regular_file_is_refused() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        // SAFETY: as in `pair`.
        let error = unsafe { Fd::from_raw_fd(file.into_raw_fd()) }.unwrap_err();
        assert_eq!(error, Errno(1)); // EPERM
    }

    fn a_timeout_leaves_the_descriptor_usable() {
        let (fd, mut peer) = pair();
        domain::block_on(async {
            let mut buf = [0; 4];
            assert!(domain::timeout(MS, fd.read(&mut buf)).await.is_err());
            peer.write_all(b"late").unwrap();
            assert_eq!(fd.read(&mut buf).await, Ok(4));
        });
    }

    fn wakes_of_another_thread_arrive() {
        let (sender, receiver) = std::sync::mpsc::channel::<std::task::Waker>();
        let echo = std::thread::spawn(move || {
            for waker in receiver {
                waker.wake();
            }
        });
        domain::block_on(async move {
            for _ in 0..1000 {
                let mut sent = false;
                std::future::poll_fn(|cx| {
                    if std::mem::replace(&mut sent, true) {
                        return std::task::Poll::Ready(());
                    }
                    sender.send(cx.waker().clone()).unwrap();
                    std::task::Poll::Pending
                })
                .await;
            }
        });
        echo.join().unwrap();
    }

    fn completions_of_another_thread_arrive() {
        let remote = domain::remote();
        let thread = std::thread::spawn(move || {
            for token in 0..1000 {
                remote.complete(token);
            }
        });
        for expected in 0..1000 {
            loop {
                if let Some(token) = domain::next_completion() {
                    assert_eq!(token, expected);
                    break;
                }
                assert_eq!(domain::poll(Instant::NEVER), Ready::FOREIGN);
            }
        }
        thread.join().unwrap();
    }

    fn another_thread_cannot_use_the_domain() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let result = std::thread::spawn(domain::stats).join();
        std::panic::set_hook(hook);
        let message = result.unwrap_err();
        assert_eq!(message.downcast_ref(), Some(&"the domain belongs to another thread"));
    }

    fn a_descriptor_signals_ocaml() {
        let (fd, mut peer) = pair();
        domain::spawn(async move {
            fd.readable().await.unwrap();
            domain::signal_foreign();
        });
        assert_eq!(domain::poll(Instant::ZERO), Ready::TIMER);
        peer.write_all(b"!").unwrap();
        assert_eq!(domain::poll(Instant::NEVER), Ready::FOREIGN);
    }

    fn random_bytes_differ() {
        let (mut a, mut b) = ([0; 300], [0; 300]);
        unix::random(&mut a);
        unix::random(&mut b);
        assert!(a != b);
    }

    fn sigterm_asks_for_the_end() {
        let requested = domain::spawn(domain::shutdown_requested());
        assert_eq!(domain::poll(Instant::ZERO), Ready::TIMER);
        // SAFETY: raise takes a signal number. The domain blocks this one.
        unsafe { host_libc::raise(host_libc::SIGTERM) };
        assert_eq!(domain::poll(Instant::NEVER), Ready::SHUTDOWN);
        assert_eq!(domain::shutdown_reason(), Some(ShutdownReason::Poweroff));
        assert_eq!(domain::block_on(requested).unwrap(), ShutdownReason::Poweroff);
    }
}
