//! Random programs, run by the executor and by a model that is too simple to be wrong.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use mirust_executor::poll::Ready;
use mirust_executor::{JoinHandle, yield_now};

use crate::mock::{MockDomain, at, domain, ns};

/// One step of a task.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// Wait for the next turn.
    Yield,
    /// Wait for so long.
    Sleep(u64),
    /// Wait for somebody's wake.
    Park,
    /// Wake a task, whatever it does at the moment.
    Wake(usize),
    /// Abort a task.
    Abort(usize),
    /// Give OCaml a token.
    Complete,
}

/// When, which task, which step; or what a poll reported.
type Trace = Vec<(u64, usize, usize)>;
const POLL: usize = usize::MAX;

/// Numbers that look random and are the same each time (xorshift64).
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn random_script(rng: &mut Rng, tasks: usize) -> Vec<Op> {
    (0..rng.below(12))
        .map(|_| match rng.below(10) {
            0..=2 => Op::Yield,
            3..=5 => Op::Sleep(1 + rng.below(20)),
            6 => Op::Park,
            7 => Op::Wake(rng.below(tasks as u64) as usize),
            8 if rng.below(4) == 0 => Op::Abort(rng.below(tasks as u64) as usize),
            _ => Op::Complete,
        })
        .collect()
}

/// What the tasks of a real run share.
struct World {
    domain: MockDomain,
    trace: RefCell<Trace>,
    wakers: RefCell<Vec<Option<Waker>>>,
    handles: RefCell<Vec<JoinHandle<()>>>,
}

async fn run_script(world: Rc<World>, me: usize, script: Vec<Op>) {
    // The first poll leaves the waker where others find it.
    poll_fn(|cx| {
        world.wakers.borrow_mut()[me] = Some(cx.waker().clone());
        Poll::Ready(())
    })
    .await;
    for (step, op) in script.into_iter().enumerate() {
        world.trace.borrow_mut().push((world.domain.now().as_nanos(), me, step));
        match op {
            Op::Yield => yield_now().await,
            Op::Sleep(time) => world.domain.sleep(ns(time)).await,
            Op::Park => {
                let mut polled = false;
                poll_fn(|_| match std::mem::replace(&mut polled, true) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                })
                .await;
            }
            Op::Wake(other) => {
                if let Some(waker) = &world.wakers.borrow()[other] {
                    waker.wake_by_ref();
                }
            }
            Op::Abort(other) => world.handles.borrow()[other].abort(),
            Op::Complete => world.domain.complete(me as u64),
        }
    }
}

fn run_real(scripts: &[Vec<Op>], deadlines: &[u64]) -> Trace {
    let domain = domain();
    let world = Rc::new(World {
        domain: Rc::clone(&domain),
        trace: RefCell::default(),
        wakers: RefCell::new(vec![None; scripts.len()]),
        handles: RefCell::default(),
    });
    for (me, script) in scripts.iter().enumerate() {
        let handle = domain.spawn(run_script(Rc::clone(&world), me, script.clone()));
        world.handles.borrow_mut().push(handle);
    }
    for &deadline in deadlines {
        let ready = domain.poll(at(deadline));
        let mut tokens = 0;
        while domain.next_completion().is_some() {
            tokens += 1;
        }
        let entry = (domain.now().as_nanos(), POLL, tokens * 16 + ready.bits() as usize);
        world.trace.borrow_mut().push(entry);
    }
    world.trace.take()
}

/// A task of the model.
#[derive(Clone, Default)]
struct Task {
    script: Vec<Op>,
    step: usize,
    /// What it waits for at `step`: nothing, the next poll, or a time.
    waits: Option<Wait>,
    started: bool,
    queued: bool,
    aborted: bool,
    done: bool,
}

#[derive(Clone, Copy)]
enum Wait {
    NextPoll,
    Time(u64),
}

#[derive(Default)]
struct Model {
    now: u64,
    tasks: Vec<Task>,
    queue: VecDeque<usize>,
    /// Deadline and task, in the order in which they were set.
    timers: Vec<(u64, usize)>,
    tokens: usize,
    trace: Trace,
}

impl Model {
    fn queue(&mut self, i: usize) {
        if !self.tasks[i].queued && !self.tasks[i].done {
            self.tasks[i].queued = true;
            self.queue.push_back(i);
        }
    }

    fn end(&mut self, i: usize) {
        self.tasks[i].done = true;
        self.timers.retain(|timer| timer.1 != i);
    }

    fn turn(&mut self, i: usize) {
        self.tasks[i].queued = false;
        if self.tasks[i].aborted {
            return self.end(i);
        }
        self.tasks[i].started = true;
        match self.tasks[i].waits.take() {
            Some(Wait::Time(time)) if time > self.now => {
                self.tasks[i].waits = Some(Wait::Time(time));
                return;
            }
            Some(_) => self.tasks[i].step += 1,
            None => (),
        }
        loop {
            let step = self.tasks[i].step;
            let Some(&op) = self.tasks[i].script.get(step) else { return self.end(i) };
            self.trace.push((self.now, i, step));
            match op {
                Op::Yield => {
                    self.tasks[i].waits = Some(Wait::NextPoll);
                    return self.queue(i);
                }
                Op::Park => {
                    self.tasks[i].waits = Some(Wait::NextPoll);
                    return;
                }
                Op::Sleep(time) => {
                    let deadline = self.now + time;
                    self.tasks[i].waits = Some(Wait::Time(deadline));
                    return self.timers.push((deadline, i));
                }
                Op::Wake(other) => {
                    if self.tasks[other].started {
                        self.queue(other);
                    }
                }
                Op::Abort(other) => {
                    if !self.tasks[other].done {
                        self.tasks[other].aborted = true;
                    }
                    self.queue(other);
                }
                Op::Complete => self.tokens += 1,
            }
            self.tasks[i].step += 1;
        }
    }

    fn poll(&mut self, deadline: u64) {
        loop {
            let mut due: Vec<_> =
                self.timers.iter().copied().filter(|timer| timer.0 <= self.now).collect();
            due.sort_by_key(|timer| timer.0);
            self.timers.retain(|timer| timer.0 > self.now);
            for (_, i) in due {
                self.queue(i);
            }
            for _ in 0..self.queue.len() {
                let i = self.queue.pop_front().unwrap();
                self.turn(i);
            }
            let mut ready = Ready::empty();
            if self.tokens > 0 {
                ready |= Ready::FOREIGN;
            }
            if self.now >= deadline {
                ready |= Ready::TIMER;
            }
            if !ready.is_empty() {
                let tokens = std::mem::take(&mut self.tokens);
                self.trace.push((self.now, POLL, tokens * 16 + ready.bits() as usize));
                return;
            }
            if self.queue.is_empty() {
                let earliest = self.timers.iter().map(|timer| timer.0).min();
                self.now = earliest.map_or(deadline, |t| t.min(deadline));
            }
        }
    }
}

fn run_model(scripts: &[Vec<Op>], deadlines: &[u64]) -> Trace {
    let mut model = Model::default();
    for (i, script) in scripts.iter().enumerate() {
        model.tasks.push(Task { script: script.clone(), ..Task::default() });
        model.queue(i);
    }
    for &deadline in deadlines {
        model.poll(deadline);
    }
    model.trace
}

#[test]
fn random_programs_run_as_in_the_model() {
    let mut steps = 0;
    let seeds = if cfg!(miri) { 2 } else { 2000 };
    for seed in 1..=seeds {
        let mut rng = Rng(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15));
        let tasks = 1 + rng.below(if seed % 10 == 0 { 150 } else { 12 }) as usize;
        let scripts: Vec<_> = (0..tasks).map(|_| random_script(&mut rng, tasks)).collect();
        let mut deadline = 0;
        let deadlines: Vec<_> = (0..40)
            .map(|_| {
                deadline += rng.below(10);
                deadline
            })
            .collect();
        let expected = run_model(&scripts, &deadlines);
        let actual = run_real(&scripts, &deadlines);
        assert_eq!(actual, expected, "seed {seed}: {scripts:#?}");
        steps += expected.len();
    }
    assert!(steps > 50 * seeds as usize, "the programs do too little: {steps} steps");
}
