//! What the toolstack does for a domain: making it, and putting it to sleep.

use super::{Domain, Farewell, How, State};
use crate::{
    config::{Asleep, General, Plan},
    store::Store,
    xl,
};
use std::{
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    select,
    time::{sleep_until, timeout},
};

impl Domain {
    /// Starts it and keeps it until it is gone again.
    pub(super) async fn live(self: Rc<Self>) {
        let asked = Instant::now();
        match self.start().await {
            Ok(how) => {
                self.rise(how, asked);
                self.stay().await;
            }
            Err(why) => self.fail(why),
        }
    }

    /// Has the toolstack start it, in the quickest possible way.
    async fn start(&self) -> Result<How, String> {
        let places = self.host.starting.borrow().clone();
        let _place = places.acquire().await.expect("nobody closes it");
        if self.host.closing.get() {
            return Err("this program is ending".into());
        }
        if self.has_restarted().await {
            log::info!("{}: has started anew", self.name());
            return Ok(How::Found);
        }
        let first = match self.make().await {
            Ok(how) => return Ok(how),
            Err(why) => why,
        };
        // Somebody else may have started it, or left a dead domain behind.
        let general = self.host.general();
        match xl::find(&xl::list(&general).await.map_err(|_| first.clone())?, self.name()) {
            Some(found) if found.alive => {
                log::info!("{}: somebody else has started it", self.name());
                self.listed.replace(Some(found.clone()));
                Store::new(&general.state, self.name()).drop_stale();
                Ok(How::Found)
            }
            Some(_) => {
                log::info!("{}: what is left of it is destroyed", self.name());
                xl::destroy(&general, self.name()).await?;
                self.make().await
            }
            None => Err(first),
        }
    }

    /// Looks whether it is there again after it has ended by itself: a domain that reboots is gone for a while, and has
    /// the name then that it had last.
    async fn has_restarted(&self) -> bool {
        let Some(last) = self.listed.borrow().clone() else { return false };
        let list = xl::list(&self.host.general()).await.unwrap_or_default();
        let again = list.into_iter().find(|listed| listed.alive && listed.uuid == last.uuid);
        let found = again.is_some();
        self.listed.replace(again);
        found
    }

    /// Restores it, or creates it if that fails.
    async fn make(&self) -> Result<How, String> {
        let (general, plan) = (self.host.general(), self.plan());
        let store = Store::new(&general.state, self.name());
        let Some(state) = store.take(&plan) else { return self.make_anew(&general, &plan).await };
        match xl::restore(&general, &state).await {
            Ok(()) => {
                store.drop_taken();
                Ok(How::Continued)
            }
            Err(why) => {
                log::warn!("{}: {why}; it is started anew", self.name());
                let made = self.make_anew(&general, &plan).await;
                // If it cannot be created either, perhaps for lack of memory, the state was not to blame.
                if made.is_ok() {
                    store.drop_taken()
                } else {
                    store.put_back()
                }
                made
            }
        }
    }

    async fn make_anew(&self, general: &General, plan: &Plan) -> Result<How, String> {
        if let Some(warm) = &plan.warm {
            match xl::restore(general, warm).await {
                Ok(()) => return Ok(How::Restored),
                Err(why) => log::warn!("{}: {why}; it is created instead", self.name()),
            }
        }
        xl::create(general, &plan.config, self.name()).await.map(|()| How::Created)
    }

    /// Puts it to sleep once it has been idle for long enough. Returns when it is no longer up.
    pub(super) async fn stay(self: Rc<Self>) {
        let mut state = self.state.subscribe();
        let start = self.start_number();
        loop {
            let idle = self.plan().idle;
            // A year is never: at its end nothing happens.
            let due = self.used.get() + idle.unwrap_or(Duration::from_secs(366 * 86400));
            select! {
                () = sleep_until(due.into()) => {}
                () = self.replanned.notified() => continue,
                _ = state.wait_for(|state| !matches!(state, State::Up)) => return,
            }
            if self.start_number() != start || !self.is_up() {
                return;
            }
            if self.counts.held.get() > 0 {
                // A client is waiting for an answer.
                self.touch();
            } else if let Some(idle) = idle.filter(|idle| self.used.get().elapsed() >= *idle) {
                if self.leave(idle).await {
                    return;
                }
                self.touch();
            }
        }
    }

    /// Puts it to sleep. Returns whether that worked.
    async fn leave(&self, idle: Duration) -> bool {
        let (general, plan) = (self.host.general(), self.plan());
        if self.host.closing.get() {
            return false;
        }
        log::info!("{}: not used for {idle:?}", self.name());
        if plan.asleep != Asleep::Save {
            self.part(Farewell::Slept);
        }
        self.state.send_replace(State::Leaving);
        let places = self.host.leaving.borrow().clone();
        let _place = places.acquire().await.expect("nobody closes it");
        let asked = Instant::now();
        let done = match plan.asleep {
            Asleep::Save => self.save().await,
            Asleep::Shutdown => self.shut_down().await,
            Asleep::Destroy => xl::destroy(&general, &self.handle()).await,
        };
        if let Err(why) = done {
            log::error!("{}: {why}", self.name());
            self.counts.failures.add(1);
            // If the domains cannot be listed, it is taken to be still up, so that this is tried again.
            let there = xl::list(&general)
                .await
                .map_or(true, |list| self.find(&list).is_some_and(|d| d.alive));
            if there {
                self.state.send_replace(State::Up);
                return false;
            }
            self.part(Farewell::Died);
        } else {
            self.listed.replace(None);
            self.counts.sleeps.add(1);
            log::info!("{}: asleep, in {} ms", self.name(), asked.elapsed().as_millis());
        }
        self.state.send_replace(State::Asleep);
        true
    }

    /// Saves it, under its own name: that is what it is called when it is restored, and how it is found then.
    async fn save(&self) -> Result<(), String> {
        let general = self.host.general();
        // Nobody tells of a new name.
        let list = xl::list(&general).await?;
        if let Some(found) = self.find(&list).filter(|found| found.name != self.name()) {
            log::info!("{}: is called {} now, and gets its name back", self.name(), found.name);
            xl::rename(&general, &found.id.to_string(), self.name()).await?;
        }
        Store::new(&general.state, self.name()).save(&general, &self.handle()).await
    }

    /// Asks it to shut down, and destroys it if it does not.
    async fn shut_down(&self) -> Result<(), String> {
        let general = self.host.general();
        // xl would wait forever for a domain that ignores the request.
        let patience = Duration::from_secs(60);
        match timeout(patience, xl::shutdown(&general, &self.handle())).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => log::warn!("{}: {why}; it is destroyed", self.name()),
            Err(_) => log::warn!(
                "{}: does not shut down within {patience:?}; it is destroyed",
                self.name()
            ),
        }
        // With on_poweroff = "destroy", xl's supervisor has removed it already.
        match self.find(&xl::list(&general).await?) {
            Some(found) => xl::destroy(&general, &found.id.to_string()).await,
            None => Ok(()),
        }
    }
}
