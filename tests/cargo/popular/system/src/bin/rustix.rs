use rustix::{event, fs, net, param, pipe, process, rand, system, termios, thread, time};

// All of these are SYSCALL instructions.
fn main() -> rustix::io::Result<()> {
    assert_eq!(process::getpid().as_raw_nonzero().get() as u32, std::process::id());
    assert_eq!(process::getppid(), None);
    assert_eq!(process::getcwd(Vec::new())?.as_bytes(), b"/");
    assert!(process::getrlimit(process::Resource::Nofile).current.is_some_and(|n| n >= 256));
    assert_eq!(param::page_size(), 4096);
    assert_eq!(thread::sched_getaffinity(None)?.count(), 1);
    thread::sched_yield();
    let before = time::clock_gettime(time::ClockId::Monotonic);
    let pause = time::Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
    assert!(matches!(thread::nanosleep(&pause), thread::NanosleepRelativeResult::Ok));
    assert!(time::clock_gettime(time::ClockId::Monotonic) - before >= pause);
    assert_eq!(system::uname().sysname(), c"Linux");
    assert!(system::sysinfo().totalram > 8 << 20);
    // A CPU without random numbers says so.
    let _ = rand::getrandom(&mut [0_u8; 8][..], rand::GetRandomFlags::empty());

    let dir = fs::open("/tmp", fs::OFlags::DIRECTORY, fs::Mode::empty())?;
    fs::mkdirat(&dir, "made", fs::Mode::RWXU)?;
    let names = fs::Dir::read_from(&dir)?.filter_map(|entry| entry.ok());
    assert!(names.into_iter().any(|entry| entry.file_name() == c"made"));
    assert!(fs::statvfs("/tmp")?.f_bfree > 0 && fs::fstatfs(&dir)?.f_bsize == 4096);
    let (reader, writer) = pipe::pipe()?;
    rustix::io::write(&writer, b"x")?;
    assert_eq!(event::poll(&mut [event::PollFd::new(&reader, event::PollFlags::IN)], None)?, 1);
    assert_eq!(termios::tcgetwinsize(rustix::stdio::stdout()), Err(rustix::io::Errno::NOTTY));
    // Nothing here refers to the C library's sockets, so that the image has no network.
    let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None);
    assert_eq!(socket.err(), Some(rustix::io::Errno::AFNOSUPPORT));
    println!("works");
    Ok(())
}
