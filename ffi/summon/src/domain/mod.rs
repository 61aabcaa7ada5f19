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
//! A domain that ends by itself goes from Up to Asleep, or to Failed if it has not answered yet. Only the task that
//! made it Starting or Leaving calls the toolstack for it. Everything runs on one thread, so that code without an
//! `await` is atomic.

pub mod counts;
mod life;
mod state;

pub use state::{Farewell, How, Refusal, State};

use crate::{
    config::Plan,
    host::Host,
    places::Places,
    store::Store,
    xl::{self, Listed},
};
use counts::Counts;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Instant,
};
use tokio::{
    sync::{Notify, watch},
    task::spawn_local,
};

/// A domain of the configuration.
pub struct Domain {
    name: String,
    host: Rc<Host>,
    plan: RefCell<Rc<Plan>>,
    /// Signals a new plan.
    replanned: Notify,
    state: watch::Sender<State>,
    /// A number that changes when existing connections to the domain are dead, and why they are.
    life: watch::Sender<(u64, Farewell)>,
    /// The number of its last start, and the time.
    start: Cell<(u64, Instant)>,
    /// As the toolstack's list had it last, if it has been looked for since this program started it.
    listed: RefCell<Option<Listed>>,
    /// Whether it has answered since its last start.
    answered: Cell<bool>,
    /// When there was traffic last.
    used: Cell<Instant>,
    /// Why the last attempt to reach it failed.
    trouble: RefCell<String>,
    /// Its counters.
    pub counts: Counts,
    /// Its clients.
    pub places: Places,
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
            listed: RefCell::default(),
            answered: Cell::new(false),
            used: Cell::new(Instant::now()),
            trouble: RefCell::default(),
            counts: Counts::default(),
            places: Places::default(),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The current plan.
    pub fn plan(&self) -> Rc<Plan> {
        self.plan.borrow().clone()
    }

    /// Replaces the plan. What is under way keeps the old one.
    pub fn replan(&self, plan: Rc<Plan>) {
        self.plan.replace(plan);
        self.replanned.notify_one();
    }

    /// Leaves it alone from now on, since it is no longer in the configuration.
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

    /// Whether xl is working on it.
    pub fn is_between(&self) -> bool {
        matches!(*self.state.borrow(), State::Starting | State::Leaving)
    }

    /// The number of its last start.
    pub fn start_number(&self) -> u64 {
        self.start.get().0
    }

    /// Whether its services may still be starting.
    pub fn is_young(&self) -> bool {
        self.start.get().1.elapsed() < self.plan().hold
    }

    /// Notes traffic.
    pub fn touch(&self) {
        self.used.set(Instant::now());
    }

    /// Starts it if necessary and waits until it is up. Returns the number of its life.
    ///
    /// # Errors
    ///
    /// It could not be started, now or within the last `retry`.
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

    /// Waits until it is up, without starting it.
    pub async fn up(&self) {
        let mut state = self.state.subscribe();
        state
            .wait_for(|state| matches!(state, State::Up))
            .await
            .expect("this domain has the sender");
    }

    /// Waits until the connections of a life are dead.
    pub async fn parted(&self, life: u64) -> Farewell {
        let mut now = self.life.subscribe();
        now.wait_for(|(now, _)| *now != life).await.expect("this domain has the sender").1
    }

    /// Takes it over, since it is running already.
    pub fn adopt(self: &Rc<Self>, found: Listed) {
        log::info!("{}: runs already", self.name());
        Store::new(&self.host.general().state, self.name()).drop_stale();
        self.listed.replace(Some(found));
        self.rise(How::Found, Instant::now());
        spawn_local(self.clone().stay());
    }

    /// Notes that it answers.
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

    /// Notes why it does not answer yet.
    pub fn has_trouble(&self, why: String) {
        self.trouble.replace(why);
    }

    /// Called when a client has waited for `hold`. A domain that has had enough time and has never answered is
    /// destroyed, so that the next client gets a new one.
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
                if let Err(error) = xl::destroy(&domain.host.general(), &domain.handle()).await {
                    log::warn!("{}: {error}", domain.name());
                }
                domain.fail(why);
            });
        }
        Refusal::Silent(why)
    }

    /// What it was called when it was seen last.
    fn called(&self) -> String {
        self.listed.borrow().as_ref().map_or_else(|| self.name.clone(), |last| last.name.clone())
    }

    /// What the toolstack is to call it: by its number, if that is known, no other domain is meant.
    fn handle(&self) -> String {
        let number = self.listed.borrow().as_ref().map(|last| last.id.to_string());
        number.unwrap_or_else(|| self.name.clone())
    }

    /// Finds it in the list: by its UUID, which stays the same when it is renamed and when it restarts, or, since
    /// somebody may have created it anew, by the name that it had last.
    fn find<'a>(&self, list: &'a [Listed]) -> Option<&'a Listed> {
        let last = self.listed.borrow();
        let is_same = |listed: &&Listed| last.as_ref().is_some_and(|last| last.uuid == listed.uuid);
        let same = list.iter().filter(is_same).max_by_key(|listed| listed.alive);
        same.filter(|listed| listed.alive).or_else(|| xl::find(list, &self.called())).or(same)
    }

    /// Compares it, while it is up, with the list of domains.
    pub fn seen(self: &Rc<Self>, list: &[Listed]) {
        match self.find(list) {
            Some(found) if found.alive => {
                if self.called() != found.name {
                    log::info!("{}: is called {} now", self.name(), found.name);
                }
                let last = self.listed.replace(Some(found.clone()));
                if last.is_some_and(|last| last.id != found.id) {
                    log::info!("{}: has started anew", self.name());
                    self.part(Farewell::Died);
                }
            }
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
        if how != How::Found {
            self.listed.replace(None);
        }
        self.answered.set(false);
        self.touch();
        self.trouble.replace("nobody has asked it yet".into());
        self.state.send_replace(State::Up);
        // To learn its number, and in case it is dead already.
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
