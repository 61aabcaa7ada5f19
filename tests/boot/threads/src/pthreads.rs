//! C's threads: what a program in C has of `<pthread.h>`.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

pub fn run() {
    crate::each(&[
        ("start, join and detach in C", life),
        ("a mutex that others wait for", mutex),
        ("a condition with a time limit", condition),
        ("C's read-write lock", rwlock),
        ("a read lock taken twice while a writer waits", read_twice),
        ("a read-write lock that prefers writers", writers_first),
        ("C's barrier", barrier),
        ("keys and their destructors", keys),
        ("once, while others come", once),
        ("attributes and names", attributes),
        ("C's spin lock", spin_lock),
        ("a signal that main waits for", signal),
        ("a signal to a thread ends what it waits for", signal_to_a_thread),
        ("a lock that is not to be had in time", lock_in_time),
    ]);
}

/// Something of C's that threads share.
struct Shared<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: it is used by C functions only, which are made for that.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    const fn new() -> Self {
        Shared(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    fn get(&self) -> *mut T {
        self.0.get().cast()
    }
}

fn ok(error: c_int) {
    assert_eq!(error, 0);
}

type Function = extern "C" fn(*mut c_void) -> *mut c_void;

fn start(function: Function, argument: usize) -> libc::pthread_t {
    let mut thread = 0;
    // SAFETY: the functions below take numbers for pointers. No attributes: it may be joined.
    ok(unsafe {
        libc::pthread_create(
            &raw mut thread,
            ptr::null(),
            function,
            ptr::with_exposed_provenance_mut(argument),
        )
    });
    thread
}

fn join(thread: libc::pthread_t) -> usize {
    let mut result = ptr::null_mut();
    // SAFETY: each is joined once.
    ok(unsafe { libc::pthread_join(thread, &raw mut result) });
    result.addr()
}

fn join_all(threads: impl IntoIterator<Item = libc::pthread_t>) {
    for thread in threads {
        join(thread);
    }
}

fn life() {
    extern "C" fn double(n: *mut c_void) -> *mut c_void {
        ptr::without_provenance_mut(n.addr() * 2)
    }
    extern "C" fn leave(n: *mut c_void) -> *mut c_void {
        // SAFETY: nothing on this stack wants to be dropped.
        unsafe { libc::pthread_exit(ptr::without_provenance_mut(n.addr() + 1)) }
    }
    extern "C" fn join_myself(_: *mut c_void) -> *mut c_void {
        // SAFETY: refused.
        let error = unsafe { libc::pthread_join(libc::pthread_self(), ptr::null_mut()) };
        ptr::without_provenance_mut(error as usize)
    }
    assert_eq!((join(start(double, 21)), join(start(leave, 6))), (42, 7));
    assert_eq!(join(start(join_myself, 0)), libc::EDEADLK as usize);
    let detached = start(double, 1);
    // SAFETY: it is not joined.
    ok(unsafe { libc::pthread_detach(detached) });
    thread::sleep(MS);
}

fn mutex() {
    static LOCK: Shared<libc::pthread_mutex_t> = Shared::new();
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn add(_: *mut c_void) -> *mut c_void {
        for _ in 0..20 {
            // SAFETY: all zeroes are an initialised mutex, here and below.
            ok(unsafe { libc::pthread_mutex_lock(LOCK.get()) });
            let old = COUNT.load(Ordering::Relaxed);
            thread::yield_now();
            COUNT.store(old + 1, Ordering::Relaxed);
            // SAFETY: as above.
            ok(unsafe { libc::pthread_mutex_unlock(LOCK.get()) });
        }
        ptr::null_mut()
    }
    join_all([1, 2, 3].map(|_| start(add, 0)));
    assert_eq!(COUNT.load(Ordering::Relaxed), 60);
    // SAFETY: as above.
    unsafe {
        ok(libc::pthread_mutex_lock(LOCK.get()));
        extern "C" fn try_lock(_: *mut c_void) -> *mut c_void {
            // SAFETY: as above.
            ptr::without_provenance_mut(unsafe { libc::pthread_mutex_trylock(LOCK.get()) } as usize)
        }
        assert_eq!(join(start(try_lock, 0)), libc::EBUSY as usize);
        ok(libc::pthread_mutex_unlock(LOCK.get()));
        ok(libc::pthread_mutex_destroy(LOCK.get()));
    }
}

fn condition() {
    static LOCK: Shared<libc::pthread_mutex_t> = Shared::new();
    static CHANGED: Shared<libc::pthread_cond_t> = Shared::new();
    static READY: AtomicU32 = AtomicU32::new(0);
    extern "C" fn wait(_: *mut c_void) -> *mut c_void {
        // SAFETY: both are initialised below, and the mutex is ours.
        unsafe {
            ok(libc::pthread_mutex_lock(LOCK.get()));
            while READY.load(Ordering::Relaxed) == 0 {
                ok(libc::pthread_cond_wait(CHANGED.get(), LOCK.get()));
            }
            READY.fetch_add(1, Ordering::Relaxed);
            ok(libc::pthread_mutex_unlock(LOCK.get()));
        }
        ptr::null_mut()
    }
    // SAFETY: both are initialised here, and the mutex is ours while we wait.
    unsafe {
        let mut attributes = MaybeUninit::uninit();
        ok(libc::pthread_condattr_init(attributes.as_mut_ptr()));
        ok(libc::pthread_condattr_setclock(attributes.as_mut_ptr(), libc::CLOCK_MONOTONIC));
        ok(libc::pthread_cond_init(CHANGED.get(), attributes.as_ptr()));
        let waiting = [1, 2, 3].map(|_| start(wait, 0));
        thread::yield_now();
        ok(libc::pthread_mutex_lock(LOCK.get()));
        let start = Instant::now();
        let mut time = MaybeUninit::<libc::timespec>::uninit();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr());
        let mut time = time.assume_init();
        time.tv_nsec += 5_000_000;
        if time.tv_nsec >= 1_000_000_000 {
            (time.tv_sec, time.tv_nsec) = (time.tv_sec + 1, time.tv_nsec - 1_000_000_000);
        }
        let error = libc::pthread_cond_timedwait(CHANGED.get(), LOCK.get(), &raw const time);
        assert_eq!(error, libc::ETIMEDOUT);
        assert!(start.elapsed() >= 5 * MS && start.elapsed() < 20_000 * MS);
        READY.store(1, Ordering::Relaxed);
        ok(libc::pthread_cond_broadcast(CHANGED.get()));
        ok(libc::pthread_mutex_unlock(LOCK.get()));
        join_all(waiting);
    }
    assert_eq!(READY.load(Ordering::Relaxed), 4);
}

fn rwlock() {
    static LOCK: Shared<libc::pthread_rwlock_t> = Shared::new();
    static VALUE: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn write(_: *mut c_void) -> *mut c_void {
        for _ in 0..10 {
            // SAFETY: all zeroes are an initialised lock, here and below.
            ok(unsafe { libc::pthread_rwlock_wrlock(LOCK.get()) });
            let old = VALUE.load(Ordering::Relaxed);
            thread::yield_now();
            VALUE.store(old + 1, Ordering::Relaxed);
            // SAFETY: as above.
            ok(unsafe { libc::pthread_rwlock_unlock(LOCK.get()) });
        }
        ptr::null_mut()
    }
    extern "C" fn read(_: *mut c_void) -> *mut c_void {
        for _ in 0..10 {
            // SAFETY: as above.
            ok(unsafe { libc::pthread_rwlock_rdlock(LOCK.get()) });
            let before = VALUE.load(Ordering::Relaxed);
            thread::yield_now();
            assert_eq!(before, VALUE.load(Ordering::Relaxed));
            // SAFETY: as above.
            ok(unsafe { libc::pthread_rwlock_unlock(LOCK.get()) });
        }
        ptr::null_mut()
    }
    join_all([start(read, 0), start(write, 0), start(read, 0), start(write, 0)]);
    assert_eq!(VALUE.load(Ordering::Relaxed), 20);
    // SAFETY: as above.
    unsafe {
        ok(libc::pthread_rwlock_rdlock(LOCK.get()));
        ok(libc::pthread_rwlock_tryrdlock(LOCK.get()));
        assert_eq!(libc::pthread_rwlock_trywrlock(LOCK.get()), libc::EBUSY);
        ok(libc::pthread_rwlock_unlock(LOCK.get()));
        ok(libc::pthread_rwlock_unlock(LOCK.get()));
        assert_eq!(libc::pthread_rwlock_unlock(LOCK.get()), libc::EPERM);
        ok(libc::pthread_rwlock_wrlock(LOCK.get()));
        assert_eq!(libc::pthread_rwlock_rdlock(LOCK.get()), libc::EDEADLK);
        ok(libc::pthread_rwlock_unlock(LOCK.get()));
    }
}

/// Starts a thread that writes once it may, and returns when it waits for that.
fn start_writer(lock: *mut libc::pthread_rwlock_t) -> libc::pthread_t {
    let before = WRITERS.load(Ordering::Relaxed);
    let writer = start(write_once, lock.expose_provenance());
    while WRITERS.load(Ordering::Relaxed) == before {
        thread::yield_now();
    }
    writer
}

static WRITERS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn write_once(lock: *mut c_void) -> *mut c_void {
    let lock = lock.cast();
    WRITERS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the lock of the caller, who joins this thread.
    ok(unsafe { libc::pthread_rwlock_wrlock(lock) });
    // SAFETY: as above.
    ok(unsafe { libc::pthread_rwlock_unlock(lock) });
    ptr::null_mut()
}

/// A second read lock of a reader behind which a writer waits: by default it is given, as glibc does.
fn read_twice() {
    static LOCK: Shared<libc::pthread_rwlock_t> = Shared::new();
    // SAFETY: all zeroes are an initialised lock.
    unsafe {
        ok(libc::pthread_rwlock_rdlock(LOCK.get()));
        let writer = start_writer(LOCK.get());
        ok(libc::pthread_rwlock_rdlock(LOCK.get()));
        assert_eq!(libc::pthread_rwlock_trywrlock(LOCK.get()), libc::EBUSY);
        ok(libc::pthread_rwlock_unlock(LOCK.get()));
        ok(libc::pthread_rwlock_unlock(LOCK.get()));
        join_all([writer]);
    }
}

/// PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP, by attributes and by glibc's static initialiser.
fn writers_first() {
    const KIND: c_int = 2;
    static LOCK: Shared<libc::pthread_rwlock_t> = Shared::new();
    let mut kind = -1;
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: attributes are initialised before they are used, and so are locks; the static initialiser has the kind in
    // the int at 48.
    unsafe {
        ok(libc::pthread_rwlockattr_init(attributes.as_mut_ptr()));
        ok(libc::pthread_rwlockattr_setkind_np(attributes.as_mut_ptr(), KIND));
        assert_eq!(libc::pthread_rwlockattr_setkind_np(attributes.as_mut_ptr(), 3), libc::EINVAL);
        ok(libc::pthread_rwlockattr_getkind_np(attributes.as_ptr(), &raw mut kind));
        assert_eq!(kind, KIND);
        for with_attributes in [true, false] {
            if with_attributes {
                ok(libc::pthread_rwlock_init(LOCK.get(), attributes.as_ptr()));
            } else {
                LOCK.get().write_bytes(0, 1);
                *LOCK.get().cast::<c_int>().add(12) = KIND;
            }
            ok(libc::pthread_rwlock_rdlock(LOCK.get()));
            ok(libc::pthread_rwlock_tryrdlock(LOCK.get()));
            ok(libc::pthread_rwlock_unlock(LOCK.get()));
            let writer = start_writer(LOCK.get());
            assert_eq!(libc::pthread_rwlock_tryrdlock(LOCK.get()), libc::EBUSY);
            ok(libc::pthread_rwlock_unlock(LOCK.get()));
            join_all([writer]);
        }
    }
}

fn barrier() {
    static BARRIER: Shared<libc::pthread_barrier_t> = Shared::new();
    static HERE: AtomicU32 = AtomicU32::new(0);
    extern "C" fn come(_: *mut c_void) -> *mut c_void {
        let mut last = 0;
        for round in 1..=3 {
            HERE.fetch_add(1, Ordering::Relaxed);
            // SAFETY: initialised below.
            let result = unsafe { libc::pthread_barrier_wait(BARRIER.get()) };
            last += usize::from(result == libc::PTHREAD_BARRIER_SERIAL_THREAD);
            assert!(HERE.load(Ordering::Relaxed) >= round * 3);
        }
        ptr::without_provenance_mut(last)
    }
    // SAFETY: nobody uses it yet, or any more.
    unsafe {
        ok(libc::pthread_barrier_init(BARRIER.get(), ptr::null(), 3));
        assert_eq!([1, 2, 3].map(|_| start(come, 0)).map(join).iter().sum::<usize>(), 3);
        ok(libc::pthread_barrier_destroy(BARRIER.get()));
    }
}

fn keys() {
    static KEY: AtomicU32 = AtomicU32::new(0);
    static SUM: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn destroy(value: *mut c_void) {
        SUM.fetch_add(value.addr(), Ordering::Relaxed);
        if value.addr() == 100 {
            // A destructor that leaves a value is called for that one, too.
            // SAFETY: a key.
            ok(unsafe {
                libc::pthread_setspecific(KEY.load(Ordering::Relaxed), ptr::without_provenance(5))
            });
        }
    }
    extern "C" fn set(value: *mut c_void) -> *mut c_void {
        let key = KEY.load(Ordering::Relaxed);
        // SAFETY: a key.
        unsafe {
            assert!(libc::pthread_getspecific(key).is_null());
            ok(libc::pthread_setspecific(key, value));
            thread::yield_now();
            assert_eq!(libc::pthread_getspecific(key), value);
        }
        ptr::null_mut()
    }
    let mut key = 0;
    // SAFETY: the destructor takes numbers.
    ok(unsafe { libc::pthread_key_create(&raw mut key, Some(destroy)) });
    KEY.store(key, Ordering::Relaxed);
    join_all([start(set, 100), start(set, 20)]);
    assert_eq!(SUM.load(Ordering::Relaxed), 125);
    // SAFETY: nobody uses it any more.
    ok(unsafe { libc::pthread_key_delete(key) });
}

// SAFETY: the type is that of `pthread.h`.
unsafe extern "C" {
    fn pthread_once(control: *mut c_int, function: extern "C" fn()) -> c_int;
}

fn once() {
    static CONTROL: Shared<c_int> = Shared::new();
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn slow() {
        thread::sleep(2 * MS);
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
    extern "C" fn come(_: *mut c_void) -> *mut c_void {
        // SAFETY: zero is a control that nobody has used.
        ok(unsafe { pthread_once(CONTROL.get(), slow) });
        ptr::without_provenance_mut(COUNT.load(Ordering::Relaxed))
    }
    assert_eq!([1, 2, 3].map(|_| start(come, 0)).map(join), [1; 3]);
}

fn attributes() {
    extern "C" fn look(main: *mut c_void) -> *mut c_void {
        let here = (&raw const main).addr();
        for thread in [main.addr() as libc::pthread_t, 0] {
            // SAFETY: both are threads that run; the attributes are initialised by the first function.
            unsafe {
                let thread = if thread == 0 { libc::pthread_self() } else { thread };
                let mut attributes = MaybeUninit::uninit();
                let (mut low, mut bytes, mut guard) = (ptr::null_mut(), 0, 0);
                ok(libc::pthread_getattr_np(thread, attributes.as_mut_ptr()));
                ok(libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut low, &raw mut bytes));
                ok(libc::pthread_attr_getguardsize(attributes.as_ptr(), &raw mut guard));
                ok(libc::pthread_attr_destroy(attributes.as_mut_ptr()));
                let mine = (low.addr()..low.addr() + bytes).contains(&here);
                assert_eq!(mine, thread == libc::pthread_self());
                assert!(bytes >= 60 << 10 && guard == 16 << 10);
            }
        }
        let mut name = [0; 16];
        // SAFETY: ourselves, a C string, and room for one.
        unsafe {
            ok(libc::pthread_setname_np(libc::pthread_self(), c"named in C".as_ptr()));
            ok(libc::pthread_getname_np(libc::pthread_self(), name.as_mut_ptr(), name.len()));
            assert_eq!(CStr::from_ptr(name.as_ptr()), c"named in C");
            let long =
                libc::pthread_setname_np(libc::pthread_self(), c"a name of sixteen".as_ptr());
            assert_eq!(long, libc::ERANGE);
        }
        ptr::null_mut()
    }
    // SAFETY: asks who we are.
    let main = unsafe { libc::pthread_self() };
    join(start(look, main as usize));
}

/// Who waits for it does not keep its owner from going on.
fn spin_lock() {
    static LOCK: Shared<libc::pthread_spinlock_t> = Shared::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // SAFETY: the lock is initialised here, and the threads end before the function does.
    unsafe {
        ok(libc::pthread_spin_init(LOCK.get(), 0));
        ok(libc::pthread_spin_lock(LOCK.get()));
        assert_eq!(libc::pthread_spin_trylock(LOCK.get()), libc::EBUSY);
        extern "C" fn locks(_: *mut c_void) -> *mut c_void {
            // SAFETY: as above.
            unsafe {
                ok(libc::pthread_spin_lock(LOCK.get()));
                let before = COUNT.load(Ordering::Relaxed);
                thread::sleep(MS);
                COUNT.store(before + 1, Ordering::Relaxed);
                ok(libc::pthread_spin_unlock(LOCK.get()));
            }
            ptr::null_mut()
        }
        let threads = [0; 3].map(|argument| start(locks, argument));
        thread::sleep(MS);
        assert_eq!(COUNT.load(Ordering::Relaxed), 0);
        ok(libc::pthread_spin_unlock(LOCK.get()));
        join_all(threads);
    }
    assert_eq!(COUNT.load(Ordering::Relaxed), 3);
}

/// Main has nothing to do but to wait, as in many a server, until another thread sends a signal.
fn signal() {
    static GOT: AtomicU32 = AtomicU32::new(0);
    extern "C" fn handler(signal: c_int) {
        GOT.store(signal as u32, Ordering::Relaxed);
    }
    extern "C" fn sends(_: *mut c_void) -> *mut c_void {
        thread::sleep(MS);
        // SAFETY: there is a handler.
        ok(unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) });
        ptr::null_mut()
    }
    // SAFETY: the handler takes a signal's number.
    unsafe {
        libc::signal(libc::SIGUSR1, handler as extern "C" fn(c_int) as usize);
        let thread = start(sends, 0);
        assert_eq!(libc::pause(), -1);
        assert_eq!(*libc::__errno_location(), libc::EINTR);
        join(thread);
    }
    assert_eq!(GOT.load(Ordering::Relaxed), libc::SIGUSR1 as u32);
}

fn signal_to_a_thread() {
    static SEMAPHORE: Shared<libc::sem_t> = Shared::new();
    extern "C" fn handler(_: c_int) {}
    extern "C" fn waits(argument: *mut c_void) -> *mut c_void {
        let long = libc::timespec { tv_sec: 1_000_000, tv_nsec: 0 };
        let mut left = long;
        // SAFETY: the semaphore is initialised, and the times are ours.
        unsafe {
            let ended = match argument.addr() {
                0 => libc::sem_wait(SEMAPHORE.get()),
                _ => libc::nanosleep(&raw const long, &raw mut left),
            };
            assert_eq!((ended, *libc::__errno_location()), (-1, libc::EINTR));
        }
        assert!(argument.addr() == 0 || left.tv_sec > 900_000);
        ptr::null_mut()
    }
    // SAFETY: the handler takes a signal's number; without SA_RESTART it ends what waits.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as extern "C" fn(c_int) as usize;
        ok(libc::sigaction(libc::SIGUSR2, &raw const action, ptr::null_mut()));
        ok(libc::sem_init(SEMAPHORE.get(), 0, 0));
        for argument in [0, 1] {
            let threads = [start(waits, argument), start(waits, argument)];
            thread::sleep(MS);
            // Each for itself, and none for main.
            for thread in threads {
                ok(libc::pthread_kill(thread, libc::SIGUSR2));
            }
            join_all(threads);
        }
    }
}

fn lock_in_time() {
    static LOCK: Shared<libc::pthread_mutex_t> = Shared::new();
    // SAFETY: the types are those of `pthread.h`.
    unsafe extern "C" {
        fn pthread_mutex_clocklock(
            mutex: *mut libc::pthread_mutex_t,
            clock: c_int,
            time: *const libc::timespec,
        ) -> c_int;
    }
    extern "C" fn locks(wanted: *mut c_void) -> *mut c_void {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the mutex is zero, which is one, and the time is ours.
        unsafe {
            ok(libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time));
            time.tv_sec += wanted.addr() as i64;
            let locked =
                pthread_mutex_clocklock(LOCK.get(), libc::CLOCK_MONOTONIC, &raw const time);
            assert_eq!(locked, if wanted.addr() == 0 { libc::ETIMEDOUT } else { 0 });
        }
        ptr::null_mut()
    }
    // SAFETY: as above.
    unsafe {
        ok(libc::pthread_mutex_lock(LOCK.get()));
        let (late, patient) = (start(locks, 0), start(locks, 1000));
        join(late);
        ok(libc::pthread_mutex_unlock(LOCK.get()));
        join(patient);
        assert_eq!(libc::pthread_mutex_trylock(LOCK.get()), libc::EBUSY);
    }
}
