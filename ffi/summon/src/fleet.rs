//! The domains of the configuration, and who hears that one of them has ended.

use crate::{config::General, domain::Domain, host::Host, xl};
use std::{cell::RefCell, collections::BTreeMap, process::Stdio, rc::Rc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::sleep,
};

/// How often running domains are checked if no program reports deaths.
const LOOK: Duration = Duration::from_secs(10);

/// All domains.
pub struct Fleet {
    /// What they share.
    pub host: Rc<Host>,
    /// By name.
    pub domains: RefCell<BTreeMap<String, Rc<Domain>>>,
}

impl Fleet {
    /// None yet.
    pub fn new(general: Rc<General>) -> Rc<Self> {
        Rc::new(Fleet { host: Host::new(general), domains: RefCell::default() })
    }

    /// Takes over the domains that are already running.
    pub async fn adopt(&self) {
        match xl::list(&self.host.general()).await {
            Ok(list) => {
                for domain in self.domains.borrow().values() {
                    if let Some(found) = xl::find(&list, domain.name()) {
                        if found.alive {
                            domain.adopt(found.clone());
                        }
                    }
                }
            }
            Err(why) => {
                log::warn!("cannot tell whether any of the domains is running already: {why}")
            }
        }
    }

    /// Checks the running domains whenever one may have ended. Never returns.
    pub async fn look_after(self: Rc<Self>) {
        loop {
            self.host.look.notified().await;
            let up: Vec<_> =
                self.domains.borrow().values().filter(|d| d.is_up()).cloned().collect();
            if up.is_empty() {
                continue;
            }
            // The list may be older than a domain that has started meanwhile, so a domain is only judged if it has not
            // been restarted since.
            let starts: Vec<_> = up.iter().map(|domain| domain.start_number()).collect();
            match xl::list(&self.host.general()).await {
                Ok(list) => {
                    for (domain, start) in up.iter().zip(starts) {
                        if domain.is_up() && domain.start_number() == start {
                            domain.seen(&list);
                        }
                    }
                }
                Err(why) => log::warn!("cannot tell whether the domains are still running: {why}"),
            }
        }
    }

    /// Listens for deaths. Each line that the program prints means that some domain may have ended. Never returns.
    pub async fn hear_deaths(self: Rc<Self>) {
        let mut told = false;
        loop {
            let command = self.host.general().deaths.clone();
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
                        self.host.look.notify_one();
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
            self.host.look.notify_one();
        }
    }
}
