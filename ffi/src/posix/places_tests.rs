//! Connections of a program that keeps what they send, in a memory that is short when the test says so.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;
use crate::platform::{MEMORY, THREADS};
use crate::yield_now;

const MIB: u64 = 1024 * 1024;

/// So much is free of 64 MiB, in one piece.
fn is_free(free: u64) {
    MEMORY.set([64 * MIB, free, free]);
}

/// How often somebody was told to look again.
#[derive(Default)]
struct Told(AtomicUsize);

impl Told {
    fn times(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection.
struct Client {
    place: Place,
    was_reset: Cell<bool>,
    told: Arc<Told>,
}

impl Client {
    /// Accepted, and has read so much.
    fn new(read: u64) -> Rc<Self> {
        let client = Rc::new(Client {
            place: Place::new(),
            was_reset: Cell::new(false),
            told: Arc::default(),
        });
        take(&client);
        client.place.read(read as usize);
        client
    }

    fn may_read(&self) -> bool {
        may_read(&self.place, &Arc::clone(&self.told).into())
    }
}

impl Guest for Client {
    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }

    fn reset(&self) {
        self.was_reset.set(true);
    }

    fn notify(&self) {
        self.told.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Until it is so. A test that fails here would wait for ever.
async fn until(mut is: impl FnMut() -> bool) {
    let limit = now().saturating_add(Duration::from_secs(60));
    while !is() {
        assert!(now() < limit, "it does not come to that");
        yield_now().await;
    }
}

/// Has `f` run in a process of its own, since the domain belongs to the thread that first used it.
fn by_itself(test: &str, f: impl FnOnce()) {
    const INSIDE: &str = "MIRUST_TEST_BY_ITSELF";
    if std::env::var_os(INSIDE).is_some() {
        return f();
    }
    let path = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).args(["--exact", &path]).env(INSIDE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn who_has_read_the_most_is_reset_until_there_is_memory() {
    by_itself("who_has_read_the_most_is_reset_until_there_is_memory", || {
        crate::block_on(the_most_is_reset());
    });
}

#[test]
fn an_answer_is_all_it_takes_to_be_left_alone() {
    by_itself("an_answer_is_all_it_takes_to_be_left_alone", || {
        crate::block_on(answered());
    });
}

#[test]
fn who_is_known_is_not_reset_for_strangers_while_being_answered() {
    by_itself("who_is_known_is_not_reset_for_strangers_while_being_answered", || {
        is_free(0);
        let [known, stranger] = [0, 1].map(Client::new);
        for _ in 0..20 {
            known.place.read(1);
            known.place.wrote(true);
        }
        // This many milliseconds after it asked, when it had been there for a while; and after strangers came.
        let asked = now().saturating_add(Duration::from_secs(5));
        let after = |ms| asked.saturating_add(Duration::from_millis(ms));
        known.place.read(1);
        known.place.patience.moved(asked);
        stranger.place.patience.moved(after(20));
        let tried = |ms| {
            let now = after(ms);
            (known.place.patience.tried(now), stranger.place.patience.tried(now))
        };
        let (known_by, strangers_by) = tried(25);
        assert!(known_by < strangers_by, "{known_by} and {strangers_by} thousandths");
        // It has no more than its own patience.
        assert!(tried(2000).0 > 1000);
        // The answer is complete: a second for each.
        known.place.wrote(true);
        known.place.patience.moved(asked);
        assert!(tried(19_000).0 < 1000 && tried(22_000).0 > 1000);
        // Also before a stranger that comes just then: there may be hundreds of those in one turn.
        let (known_by, strangers_by) = tried(20);
        assert!(known_by < strangers_by, "{known_by} and {strangers_by} thousandths");
    });
}

async fn the_most_is_reset() {
    is_free(56 * MIB);
    let [little, less, more, most] =
        [LITTLE - 1, LITTLE, 20 * LITTLE, 30 * LITTLE].map(Client::new);
    assert!([&little, &less, &more, &most].iter().all(|client| client.may_read()));
    is_free(7 * MIB);
    assert!(little.may_read(), "who has read little is left alone");
    assert!(!less.may_read() && !more.may_read() && !less.may_read());
    let newcomer = Arc::new(Told::default());
    assert!(!is_room(&Arc::clone(&newcomer).into()), "newcomers wait");
    assert!(!most.was_reset.get(), "not by the caller, which is in the middle of something");
    until(|| most.was_reset.get()).await;
    assert_eq!(most.told.times(), 1);
    assert!(most.place.has_left() && !more.was_reset.get());
    // Its owner does not look at it: then the next one, too, and that one's owner frees what it keeps.
    until(|| more.was_reset.get()).await;
    assert_eq!((less.told.times(), newcomer.times()), (0, 0), "it is still short");
    drop(more);
    is_free(20 * MIB);
    until(|| less.told.times() > 0).await;
    assert_eq!((less.told.times(), newcomer.times()), (1, 1), "once each");
    assert!(less.may_read() && is_room(&newcomer.into()));
    assert!(!less.was_reset.get() && !little.was_reset.get());
}

async fn answered() {
    is_free(56 * MIB);
    let client = Client::new(100 * LITTLE);
    client.place.wrote(true);
    let other = Client::new(LITTLE);
    is_free(MIB);
    assert!(client.may_read() && !other.may_read());
    until(|| other.was_reset.get()).await;
    // Nobody is left whom memory could be taken from, so that nobody waits for it.
    let newcomer = Arc::new(Told::default());
    assert!(!client.was_reset.get() && client.may_read() && is_room(&newcomer.into()));
}

#[test]
fn a_newcomer_waits_for_the_stack_of_its_thread() {
    by_itself("a_newcomer_waits_for_the_stack_of_its_thread", || {
        crate::block_on(threads_take_all());
    });
}

async fn threads_take_all() {
    const STACK: usize = 512 << 10;
    let newcomer = Arc::new(Told::default());
    let is_room = || super::is_room(&Arc::clone(&newcomer).into());
    let have_stacks = |threads: usize| THREADS.set([threads, threads * STACK, STACK]);
    // These have gone.
    drop((0..40).map(|_| Client::new(0)).collect::<Vec<_>>());
    let mut clients: Vec<_> = (0..40).map(|_| Client::new(0)).collect();
    is_free(8 * MIB + STACK as u64);
    have_stacks(40);
    assert!(is_room(), "an eighth, and a stack");
    is_free(8 * MIB + STACK as u64 - 1);
    have_stacks(39);
    assert!(is_room(), "not each connection has a thread");
    THREADS.set([40, 16 * MIB as usize - 1, STACK]);
    assert!(is_room(), "it is not stacks that take the memory");
    THREADS.set([40, 40 * STACK, 0]);
    is_free(8 * MIB);
    assert!(is_room(), "a stack is kept for it");
    have_stacks(40);
    assert!(!is_room() && !is_room());
    let left =
        |clients: &[Rc<Client>]| clients.iter().filter(|client| client.was_reset.get()).count();
    assert_eq!(left(&clients), 1, "one at a time");
    // However many end, it is as short as before.
    until(|| {
        clients.retain(|client| !client.was_reset.get());
        have_stacks(40);
        is_room()
    })
    .await;
    assert_eq!(clients.len(), ALWAYS - 1);
    assert!(newcomer.times() > 0);
}

#[test]
fn what_is_no_number_of_connections_is_told() {
    assert_eq!(number("100".as_ref()), Ok(100));
    for value in ["", "-1", "+", "many", "1e3", "99999999999999999999"] {
        let why = number(value.as_ref()).unwrap_err();
        assert!(why.contains(&format!("{VARIABLE}={value:?} is not a number")), "{why}");
    }
}
