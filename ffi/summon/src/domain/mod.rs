//! The life of one domain, as its clients see it.
//!
//! ```text
//!            a client            xl create, xl restore
//!   Asleep ───────────▶ Starting ──────────────────────▶ Up
//!     ▲ ▲                  │                             │ │
//!     │ │ time             ▼          it never answers   │ │ no traffic
//!     │ └────────────── Failed ◀─────────────────────────┘ ▼
//!     └─────────────────────────────────────────────── Leaving
//! ```
//!
//! A domain that ends by itself goes from Up to Asleep; before it has answered once, to Failed. Whoever makes it Starting or
//! Leaving is the one that calls the toolstack for it. Everything runs on one thread, so that what is read and written
//! without an `await` between is one step.

mod life;

use crate::{
    config::Plan,
    host::Host,
    metrics::Counts,
    store::Store,
    xl::{self, Listed},
};
use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    time::Instant,
};
use tokio::{
    sync::{Notify, watch},
    task::spawn_local,
};

/// Where a domain is in its life.
#[derive(Clone, Debug)]
pub enum State {
    /// It is not there.
    Asleep,
    /// xl is creating or restoring it.
    Starting,
    /// It is there. Whether it answers is another question.
    Up,
    /// xl is putting it to sleep.
    Leaving,
    /// It could not be started, or did not answer; nobody tries before then.
    Failed { until: Instant, why: Rc<str> },
}

/// How a domain came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By `xl create`.
    Created,
    /// By `xl restore`, of the state in which it went to sleep, with its connections.
    Continued,
    /// By `xl restore`, of a state that each start is one of.
    Restored,
    /// It ran already.
    Found,
}

/// Why a client is not served.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many clients held as may be.
    Queue,
    /// There are as many clients as may be.
    Connections,
    /// The domain did not come up.
    Failed(Rc<str>),
    /// It did not answer in time.
    Silent(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Queue => f.write_str("as many as `queue` allows are waiting already"),
            Refusal::Connections => {
                f.write_str("there are as many as `connections` allows already")
            }
            Refusal::Failed(why) => f.write_str(why),
            Refusal::Silent(why) => f.write_str(why),
        }
    }
}

/// How a domain parted from its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// It was put to sleep; nothing was under way.
    Slept,
    /// It ended.
    Died,
}

/// One domain of the configuration.
pub struct Domain {
    name: String,
    host: Rc<Host>,
    plan: RefCell<Rc<Plan>>,
    /// There is another plan.
    replanned: Notify,
    state: watch::Sender<State>,
    /// Changes when what is connected to the domain is so no more.
    life: watch::Sender<(u64, Farewell)>,
    /// How often it was started, and when last.
    start: Cell<(u64, Instant)>,
    /// Its number, once it was seen.
    id: Cell<Option<u32>>,
    /// Whether anything has answered since the last start.
    answered: Cell<bool>,
    /// The last traffic.
    used: Cell<Instant>,
    /// Why it does not answer, as was last seen.
    trouble: RefCell<String>,
    /// What is counted of it.
    pub counts: Counts,
}

impl Domain {
    pub fn new(host: Rc<Host>, plan: Rc<Plan>) -> Rc<Self> {
        Rc::new(Domain {
            name: plan.name.clone(),
            host,
            plan: RefCell::new(plan),
            replanned: Notify::new(),
            state: watch::Sender::new(State::Asleep),
            life: watch::Sender::new((0, Farewell::Died)),
            start: Cell::new((0, Instant::now())),
            id: Cell::new(None),
            answered: Cell::new(false),
            used: Cell::new(Instant::now()),
            trouble: RefCell::default(),
            counts: Counts::default(),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plan of now.
    pub fn plan(&self) -> Rc<Plan> {
        self.plan.borrow().clone()
    }

    /// Another plan, for what begins from now on.
    pub fn replan(&self, plan: Rc<Plan>) {
        self.plan.replace(plan);
        self.replanned.notify_one();
    }

    /// It is in no configuration any more: whatever state it is in, it is left there.
    pub fn forget(&self) {
        let plan = self.plan();
        let plan = Plan { idle: None, ways: Vec::new(), ..(*plan).clone() };
        self.replan(Rc::new(plan));
    }

    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up)
    }

    /// Whether xl is at work for it.
    pub fn is_between(&self) -> bool {
        matches!(*self.state.borrow(), State::Starting | State::Leaving)
    }

    /// Which start of it the last one was.
    pub fn start_number(&self) -> u64 {
        self.start.get().0
    }

    /// Whether its services may be about to begin.
    pub fn is_young(&self) -> bool {
        self.start.get().1.elapsed() < self.plan().hold
    }

    /// There was traffic.
    pub fn touch(&self) {
        self.used.set(Instant::now());
    }

    /// Has it started if it is not there, and waits until it is. Gives the number of its life.
    ///
    /// # Errors
    ///
    /// It failed, now or a moment ago.
    pub async fn wake(self: &Rc<Self>) -> Result<u64, Refusal> {
        let mut state = self.state.subscribe();
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                State::Up => return Ok(self.life.borrow().0),
                State::Failed { until, why } if Instant::now() < until => {
                    return Err(Refusal::Failed(why));
                }
                State::Asleep | State::Failed { .. } => {
                    self.state.send_replace(State::Starting);
                    spawn_local(self.clone().live());
                }
                State::Starting | State::Leaving => {}
            }
            state.changed().await.expect("this domain has the sender");
        }
    }

    /// Waits until it is there, without asking for it.
    pub async fn up(&self) {
        let mut state = self.state.subscribe();
        state
            .wait_for(|state| matches!(state, State::Up))
            .await
            .expect("this domain has the sender");
    }

    /// Waits until what was connected in a life is so no more.
    pub async fn parted(&self, life: u64) -> Farewell {
        let mut now = self.life.subscribe();
        now.wait_for(|(now, _)| *now != life).await.expect("this domain has the sender").1
    }

    /// It runs already, without having been asked for here.
    pub fn adopt(self: &Rc<Self>, id: u32) {
        log::info!("{}: runs already", self.name());
        Store::new(&self.host.general().state, self.name()).drop_stale();
        self.rise(How::Found, Instant::now());
        self.id.set(Some(id));
        spawn_local(self.clone().stay());
    }

    /// Something of it answers.
    pub fn answers(&self) {
        self.touch();
        if !self.answered.replace(true) {
            log::info!(
                "{}: answers, {} ms after it was there",
                self.name(),
                self.start.get().1.elapsed().as_millis()
            );
        }
    }

    /// It does not answer yet, and this is why.
    pub fn has_trouble(&self, why: String) {
        self.trouble.replace(why);
    }

    /// A client has waited for as long as it may. A domain that has had its time and answered nobody is given up, so
    /// that the next client meets a new one.
    pub fn was_silent(self: &Rc<Self>) -> Refusal {
        let plan = self.plan();
        let why = match self.state() {
            State::Up => self.trouble.borrow().clone(),
            State::Starting => "xl is still starting it".into(),
            State::Leaving => "xl is still putting it to sleep".into(),
            State::Asleep | State::Failed { .. } => "it is not there".into(),
        };
        let why = format!("no answer within {:?} (`hold`): {why}", plan.hold);
        let (_, since) = self.start.get();
        if self.is_up() && !self.answered.get() && since.elapsed() >= plan.hold / 2 {
            self.state.send_replace(State::Leaving);
            let (domain, why) = (self.clone(), why.clone());
            spawn_local(async move {
                if let Err(error) = xl::destroy(&domain.host.general(), domain.name()).await {
                    log::warn!("{}: {error}", domain.name());
                }
                domain.fail(why);
            });
        }
        Refusal::Silent(why)
    }

    /// What the list of domains has of it, while it is up.
    pub fn seen(self: &Rc<Self>, listed: Option<&Listed>) {
        match listed {
            Some(found) if found.alive => match self.id.replace(Some(found.id)) {
                Some(id) if id != found.id => {
                    log::info!("{}: has started anew", self.name());
                    self.part(Farewell::Died);
                }
                _ => {}
            },
            _ if self.answered.get() => {
                log::warn!("{}: has ended", self.name());
                self.counts.deaths.add(1);
                self.part(Farewell::Died);
                self.state.send_replace(State::Asleep);
            }
            _ => {
                self.counts.deaths.add(1);
                self.fail("it ended before it answered; its console says why".into());
            }
        }
    }

    fn rise(&self, how: How, asked: Instant) {
        let took = asked.elapsed();
        match how {
            How::Found => {}
            How::Created => log::info!("{}: created, in {} ms", self.name(), took.as_millis()),
            How::Restored | How::Continued => {
                log::info!("{}: restored, in {} ms", self.name(), took.as_millis());
            }
        }
        if how != How::Continued {
            self.part(Farewell::Died);
        }
        self.counts.started(how, took);
        self.start.set((self.start_number() + 1, Instant::now()));
        self.id.set(None);
        self.answered.set(false);
        self.touch();
        self.trouble.replace("nobody has asked it yet".into());
        self.state.send_replace(State::Up);
        // For its number, and in case it is dead already.
        self.host.look.notify_one();
    }

    fn fail(&self, why: String) {
        let retry = self.plan().retry;
        log::error!("{}: {why}; clients are refused for {retry:?} (`retry`)", self.name());
        self.counts.failures.add(1);
        self.part(Farewell::Died);
        self.state.send_replace(State::Failed { until: Instant::now() + retry, why: why.into() });
    }

    fn part(&self, how: Farewell) {
        self.life.send_modify(|life| *life = (life.0 + 1, how));
    }
}
