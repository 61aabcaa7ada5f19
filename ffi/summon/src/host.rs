//! What all domains share: the toolstack's settings, how many calls of it run at a time, and who hears of deaths.

use crate::{
    config::General,
    domain::Domain,
    xl::{self, Listed},
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    process::Stdio,
    rc::Rc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    sync::{Notify, Semaphore},
    time::sleep,
};

/// How often running domains are checked if no program reports deaths.
const LOOK: Duration = Duration::from_secs(10);

/// The state that all domains share.
pub struct Host {
    general: RefCell<Rc<General>>,
    /// The domains of the configuration, by name.
    pub domains: RefCell<BTreeMap<String, Rc<Domain>>>,
    /// Permits to start a domain.
    pub starting: RefCell<Rc<Semaphore>>,
    /// Permits to put a domain to sleep. They are separate so that a save never delays a client.
    pub leaving: RefCell<Rc<Semaphore>>,
    /// A domain may have ended.
    pub look: Notify,
    /// This program is shutting down and starts nothing new.
    pub closing: Cell<bool>,
}

impl Host {
    pub fn new(general: Rc<General>) -> Rc<Self> {
        let places = || RefCell::new(Rc::new(Semaphore::new(general.starts)));
        Rc::new(Host {
            starting: places(),
            leaving: places(),
            general: RefCell::new(general),
            domains: RefCell::default(),
            look: Notify::new(),
            closing: Cell::new(false),
        })
    }

    /// The current settings.
    pub fn general(&self) -> Rc<General> {
        self.general.borrow().clone()
    }

    /// Replaces the settings. What is under way keeps the old ones.
    pub fn change(&self, general: Rc<General>) {
        if general.starts != self.general().starts {
            // Permits that are held go back to the old semaphores.
            self.starting.replace(Rc::new(Semaphore::new(general.starts)));
            self.leaving.replace(Rc::new(Semaphore::new(general.starts)));
        }
        self.general.replace(general);
    }

    /// Takes over the domains that are already running.
    pub async fn adopt(&self) {
        match xl::list(&self.general()).await {
            Ok(list) => {
                for domain in self.domains.borrow().values() {
                    if let Some(found) = find(&list, domain.name()) {
                        if found.alive {
                            domain.adopt(found.id);
                        }
                    }
                }
            }
            Err(why) => log::warn!("whether any of the domains run already is not known: {why}"),
        }
    }

    /// Checks the running domains whenever one may have ended. Never returns.
    pub async fn look_after(self: Rc<Self>) {
        loop {
            self.look.notified().await;
            let up: Vec<_> =
                self.domains.borrow().values().filter(|d| d.is_up()).cloned().collect();
            if up.is_empty() {
                continue;
            }
            // The list may be older than a domain that has started meanwhile, so a domain is only judged if it has not been
            // restarted since.
            let starts: Vec<_> = up.iter().map(|domain| domain.start_number()).collect();
            match xl::list(&self.general()).await {
                Ok(list) => {
                    for (domain, start) in up.iter().zip(starts) {
                        if domain.is_up() && domain.start_number() == start {
                            domain.seen(find(&list, domain.name()));
                        }
                    }
                }
                Err(why) => log::warn!("whether the domains still run is not known: {why}"),
            }
        }
    }

    /// Listens for deaths. Each line that the program prints means that some domain may have ended. Never returns.
    pub async fn hear_deaths(self: Rc<Self>) {
        let mut told = false;
        loop {
            let command = self.general().deaths.clone();
            let child = Command::new(&command[0])
                .args(&command[1..])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .process_group(0)
                .kill_on_drop(true)
                .spawn();
            match child {
                Ok(mut child) => {
                    let mut lines =
                        BufReader::new(child.stdout.take().expect("it is piped")).lines();
                    while let Ok(Some(_)) = lines.next_line().await {
                        self.look.notify_one();
                    }
                    log::warn!("{} has ended; it is started again", command[0]);
                }
                Err(error) if !told => {
                    told = true;
                    log::warn!(
                        "{} cannot be started ({error}): domains that run are looked at every {LOOK:?}",
                        command[0]
                    );
                }
                Err(_) => {}
            }
            sleep(LOOK).await;
            self.look.notify_one();
        }
    }
}

/// Finds a domain in the list.
pub fn find<'a>(list: &'a [Listed], name: &str) -> Option<&'a Listed> {
    list.iter().find(|listed| listed.name == name)
}
