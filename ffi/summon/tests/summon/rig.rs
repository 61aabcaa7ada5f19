//! The program under test, a toolstack of files (`xl` beside this file), and what the domains serve.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

/// For what must happen, on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Ports below these would need permissions; each test has addresses of its own.
pub const FRONT: u16 = 7080;
pub const BACK: u16 = 8080;

static RIGS: AtomicUsize = AtomicUsize::new(0);

/// A directory with a toolstack, and the program.
pub struct Rig {
    pub dir: PathBuf,
    number: usize,
    summon: Option<Child>,
    end: Arc<AtomicBool>,
}

impl Rig {
    /// Without a domain, and nothing runs yet.
    pub fn new() -> Rig {
        let number = RIGS.fetch_add(1, SeqCst);
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("summon-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("domains")).unwrap();
        for empty in ["calls", "deaths", "log", "http.cfg"] {
            fs::write(dir.join(empty), "").unwrap();
        }
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/summon/xl"), dir.join("xl"))
            .unwrap();
        Rig { dir, number, summon: None, end: Arc::default() }
    }

    /// The program serves the domain `http`, which says what it is told, with more keys of that.
    pub fn serving(more: &str) -> Rig {
        let mut rig = Rig::new();
        rig.echo("http", rig.back(), false);
        rig.start(&rig.config(more));
        rig
    }

    /// A client that has been answered.
    pub fn client(&self) -> Client {
        let mut client = Client::connect(self.front());
        client.is_served();
        client
    }

    /// An address of this host that no other test of this process has, nor one of another process that runs now.
    fn address(&self, last: u8) -> Ipv4Addr {
        let [.., a, b] = std::process::id().to_be_bytes();
        Ipv4Addr::new(127, a | 64, b, u8::try_from(self.number * 3).unwrap() + last)
    }

    /// Where clients come.
    pub fn front(&self) -> SocketAddr {
        (self.address(1), FRONT).into()
    }

    /// Where the domain serves.
    pub fn back(&self) -> SocketAddr {
        (self.address(2), BACK).into()
    }

    /// The metrics.
    pub fn metrics(&self) -> SocketAddr {
        (self.address(3), FRONT).into()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A configuration with the domain `http`, and more keys of that.
    pub fn config(&self, more: &str) -> String {
        format!(
            "{}[domain.http]\nconfig = \"{}\"\nlisten = \"{}\"\ntarget = \"{}\"\n{more}\n",
            self.general(),
            self.file("http.cfg").display(),
            self.front(),
            self.back(),
        )
    }

    /// The table `[summon]`.
    pub fn general(&self) -> String {
        let dir = self.dir.display();
        let metrics = self.metrics();
        format!(
            "[summon]\nxl = \"{dir}/xl\"\nstate = \"{dir}/state\"\nmetrics = \"{metrics}\"\n\
             deaths = [\"tail\", \"-n\", \"+1\", \"-s\", \"0.05\", \"-f\", \"{dir}/deaths\"]\n"
        )
    }

    /// The command that runs the program with a configuration.
    pub fn command(&self, config: &str) -> Command {
        fs::write(self.file("summon.toml"), config).unwrap();
        let log = fs::OpenOptions::new().append(true).open(self.file("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirust-summon"));
        command.args(["--verbose", "--config"]).arg(self.file("summon.toml")).stderr(log);
        command.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET");
        command
    }

    /// Starts the program, and waits until it serves.
    pub fn start(&mut self, config: &str) {
        let command = self.command(config);
        self.start_by(command);
    }

    pub fn start_by(&mut self, mut command: Command) {
        fs::write(self.file("log"), "").unwrap();
        self.summon = Some(command.spawn().unwrap());
        self.says("domains are served");
    }

    pub fn pid(&self) -> u32 {
        self.summon.as_ref().expect("it runs").id()
    }

    /// Sends the program a signal.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the program's end.
    pub fn ended(&mut self) -> ExitStatus {
        let mut child = self.summon.take().expect("it runs");
        let mut status = None;
        eventually("the program ends", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap()
    }

    /// Waits until the program has logged this.
    pub fn says(&self, what: &str) {
        let start = Instant::now();
        while !self.log().contains(what) {
            assert!(start.elapsed() < PATIENCE, "the log has no '{what}':\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The calls of xl, without those that only look.
    pub fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file("calls")).unwrap();
        text.lines()
            .filter(|line| !line.starts_with("list"))
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    }

    /// Whether there is the domain.
    pub fn has(&self, name: &str) -> bool {
        self.file("domains").join(name).exists()
    }

    /// Has a domain end by itself.
    pub fn kill(&self, name: &str) {
        fs::remove_file(self.file("domains").join(name)).unwrap();
        self.tell_of_a_death();
    }

    /// Waits until the number of the first domain is known: it is looked for at the program's start, and after its own.
    pub fn knows_its_number(&self) {
        eventually("its number is known", || self.log().matches("xl list ended").count() == 2);
    }

    /// Has somebody else rename a domain.
    pub fn rename(&self, name: &str, new: &str) {
        let status = Command::new(self.file("xl")).args(["rename", name, new]).status();
        assert!(status.unwrap().success());
    }

    /// As xenstore does, of whomever.
    pub fn tell_of_a_death(&self) {
        let mut deaths = fs::OpenOptions::new().append(true).open(self.file("deaths")).unwrap();
        deaths.write_all(b"@releaseDomain\n").unwrap();
    }

    /// Holds a command of xl up, until what is returned is dropped.
    pub fn slow(&self, command: &str) -> Held {
        Held::new(self.file(&format!("slow-{command}")), "")
    }

    /// Has a command of xl fail so, until what is returned is dropped.
    pub fn failing(&self, command: &str, why: &str) -> Held {
        Held::new(self.file(&format!("fail-{command}")), why)
    }

    /// What a metric is now, by its name and labels.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.scrape("/metrics");
        let line =
            text.lines().find_map(|line| line.strip_prefix(&format!("mirust_summon_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// The response to a request for a page of the metrics' server.
    pub fn scrape(&self, page: &str) -> String {
        let mut stream = TcpStream::connect(self.metrics()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {page} HTTP/1.1\r\nHost: there\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// A domain's life, while it is there.
    fn life(file: &Path) -> Option<String> {
        fs::read_to_string(file).ok()?.split_whitespace().nth(2).map(String::from)
    }

    /// Has the domain echo what comes on connections, as soon as `NAME.ready` is there too if `gated`.
    pub fn echo(&self, name: &str, address: SocketAddr, gated: bool) {
        let (file, ready) = (self.file("domains").join(name), self.file(&format!("{name}.ready")));
        let end = self.end.clone();
        thread::spawn(move || {
            while !end.load(SeqCst) {
                let life = Rig::life(&file).filter(|_| !gated || ready.exists());
                let Some(life) = life else {
                    thread::sleep(Duration::from_millis(2));
                    continue;
                };
                let listener = TcpListener::bind(address).unwrap();
                listener.set_nonblocking(true).unwrap();
                while Rig::life(&file).as_ref() == Some(&life) && !end.load(SeqCst) {
                    match listener.accept() {
                        Ok((stream, _)) => {
                            let (file, life, end) = (file.clone(), life.clone(), end.clone());
                            thread::spawn(move || echo_one(stream, &file, &life, &end));
                        }
                        Err(_) => thread::sleep(Duration::from_millis(2)),
                    }
                }
            }
        });
    }

    /// Has the domain answer datagrams with themselves, and count them.
    pub fn echo_datagrams(&self, name: &str, address: SocketAddr) -> Arc<AtomicUsize> {
        let (file, end) = (self.file("domains").join(name), self.end.clone());
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = seen.clone();
        thread::spawn(move || {
            while !end.load(SeqCst) {
                if !file.exists() {
                    thread::sleep(Duration::from_millis(2));
                    continue;
                }
                let socket = UdpSocket::bind(address).unwrap();
                socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
                let mut buffer = [0; 2048];
                while file.exists() && !end.load(SeqCst) {
                    if let Ok((n, peer)) = socket.recv_from(&mut buffer) {
                        counter.fetch_add(1, SeqCst);
                        socket.send_to(&buffer[..n], peer).unwrap();
                    }
                }
            }
        });
        seen
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.end.store(true, SeqCst);
        if let Some(mut summon) = self.summon.take() {
            let _ = summon.kill();
            let _ = summon.wait();
        }
        if thread::panicking() {
            eprintln!("the log:\n{}", self.log());
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A connection of a domain: while that is not there nothing happens, and if another has its place, that knows nothing
/// of this one.
fn echo_one(mut stream: TcpStream, file: &Path, life: &str, end: &AtomicBool) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut buffer = vec![0; 65536];
    while !end.load(SeqCst) {
        match Rig::life(file) {
            None => thread::sleep(Duration::from_millis(2)),
            Some(now) if now != life => {
                // As whoever knows nothing of a connection does.
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
            Some(_) => match stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => {
                    if stream.write_all(&buffer[..n]).is_err() {
                        return;
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => return,
            },
        }
    }
}

/// A file that is removed when this is dropped.
pub struct Held(PathBuf);

impl Held {
    pub fn new(path: PathBuf, text: &str) -> Held {
        fs::write(&path, text).unwrap();
        Held(path)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A client.
pub struct Client(pub TcpStream);

impl Client {
    pub fn connect(to: SocketAddr) -> Client {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(stream)
    }

    /// Whether anybody accepts connections there.
    pub fn is_open(to: SocketAddr) -> bool {
        TcpStream::connect(to).is_ok()
    }

    /// Sends a line, and reads as much.
    pub fn says(&mut self, what: &str) -> io::Result<String> {
        self.0.write_all(what.as_bytes())?;
        let mut answer = vec![0; what.len()];
        self.0.read_exact(&mut answer)?;
        Ok(String::from_utf8(answer).unwrap())
    }

    /// It is answered.
    pub fn is_served(&mut self) {
        assert_eq!(self.says("hello").unwrap(), "hello");
    }

    /// It is reset.
    pub fn is_refused(&mut self) {
        let error =
            self.0.read(&mut [0]).map(|n| panic!("{n} octets instead of a reset")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
    }
}

/// Waits until it is so.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
