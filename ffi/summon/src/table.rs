//! The sockets, what serves each of them, and how a new configuration replaces the current one.

use crate::{
    config::{Config, Place, Protocol, Way},
    domain::Domain,
    fleet::Fleet,
    knock::Gate,
    metrics, systemd, tcp, udp,
};
use socket2::{Socket, Type};
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    rc::Rc,
};
use tokio::{
    net::{TcpListener, UdpSocket},
    task::{JoinHandle, spawn_local},
};

/// How many connections may wait to be accepted; the kernel has a limit of its own.
const BACKLOG: i32 = 4096;

/// An open socket, shared with the task that serves it.
#[derive(Clone)]
enum Open {
    Tcp(Rc<TcpListener>),
    Udp(Rc<UdpSocket>),
}

/// What serves a socket.
struct Service {
    domain: Rc<Domain>,
    way: Way,
    task: JoinHandle<()>,
}

/// Everything that is served.
pub struct Table {
    fleet: Rc<Fleet>,
    inherited: Vec<(SocketAddr, Socket)>,
    sockets: HashMap<Place, Open>,
    services: HashMap<Place, Service>,
    metrics: Option<(SocketAddr, JoinHandle<()>)>,
}

impl Table {
    pub fn new(fleet: Rc<Fleet>, inherited: Vec<(SocketAddr, Socket)>) -> Self {
        Table { fleet, inherited, sockets: HashMap::new(), services: HashMap::new(), metrics: None }
    }

    /// Replaces the configuration. Sockets that the old and the new one share stay open, and so do all connections.
    ///
    /// # Errors
    ///
    /// A socket cannot be opened. Everything stays as it was.
    pub fn load(&mut self, config: Config) -> Result<(), String> {
        let places = config.domains.values().flat_map(|plan| &plan.ways).map(|way| way.place);
        let mut opened = HashMap::new();
        for place in places {
            if self.sockets.contains_key(&place) {
                continue;
            }
            opened.insert(place, self.open(place).map_err(|error| {
                format!("{place}: {error}; another program may have it, or the address is not this host's")
            })?);
        }
        let metrics = match config.general.metrics {
            Some(address) if self.metrics.as_ref().is_none_or(|(old, _)| *old != address) => {
                let place = Place { protocol: Protocol::Tcp, listen: address };
                match self.open(place).map_err(|error| format!("metrics: {address}: {error}"))? {
                    Open::Tcp(listener) => Some((address, listener)),
                    Open::Udp(_) => None,
                }
            }
            _ => None,
        };
        // From here on nothing fails.
        self.sockets.extend(opened);
        self.fleet.host.change(config.general.clone());
        self.change_domains(&config);
        self.change_services(&config);
        if let Some((old, task)) = &self.metrics {
            if config.general.metrics != Some(*old) {
                task.abort();
                self.metrics = None;
            }
        }
        if let Some((address, listener)) = metrics {
            let listener = Rc::try_unwrap(listener).expect("it was opened just now");
            self.metrics =
                Some((address, spawn_local(metrics::serve(listener, self.fleet.clone()))));
        }
        for (address, _) in self.inherited.drain(..) {
            log::warn!(
                "a socket at {address} was inherited, and nothing in the configuration is served there"
            );
        }
        Ok(())
    }

    /// Whether the toolstack is working on any domain.
    pub fn is_busy(&self) -> bool {
        self.fleet.domains.borrow().values().any(|domain| domain.is_between())
    }

    /// Stops accepting clients.
    pub fn close(&mut self) {
        for (_, service) in self.services.drain() {
            service.task.abort();
        }
        self.sockets.clear();
    }

    fn change_domains(&self, config: &Config) {
        let mut domains = self.fleet.domains.borrow_mut();
        let mut old = std::mem::take(&mut *domains);
        *domains = config
            .domains
            .iter()
            .map(|(name, plan)| {
                let domain = match old.remove(name) {
                    Some(domain) => {
                        domain.replan(plan.clone());
                        domain
                    }
                    None => Domain::new(self.fleet.host.clone(), plan.clone()),
                };
                (name.clone(), domain)
            })
            .collect::<BTreeMap<_, _>>();
        for domain in old.values() {
            domain.forget();
        }
    }

    fn change_services(&mut self, config: &Config) {
        let domains = self.fleet.domains.borrow().clone();
        let wanted: HashMap<Place, (Rc<Domain>, Way)> = config
            .domains
            .values()
            .flat_map(|plan| {
                plan.ways.iter().map(|way| (way.place, (domains[&plan.name].clone(), *way)))
            })
            .collect();
        self.services.retain(|place, service| {
            let stays = wanted.get(place).is_some_and(|(domain, way)| {
                Rc::ptr_eq(domain, &service.domain) && *way == service.way
            });
            if !stays {
                service.task.abort();
            }
            stays
        });
        self.sockets.retain(|place, _| wanted.contains_key(place));
        for (place, (domain, way)) in wanted {
            if self.services.contains_key(&place) {
                continue;
            }
            let gate = Rc::new(Gate::new(way));
            let task = match self.sockets[&place].clone() {
                Open::Tcp(listener) => spawn_local(tcp::serve(listener, domain.clone(), gate)),
                Open::Udp(socket) => spawn_local(udp::serve(socket, domain.clone(), gate)),
            };
            self.services.insert(place, Service { domain, way, task });
        }
    }

    /// The inherited socket for a place, or a new one.
    fn open(&mut self, place: Place) -> std::io::Result<Open> {
        let Place { protocol, listen } = place;
        let kind = match protocol {
            Protocol::Tcp => Type::STREAM,
            Protocol::Udp => Type::DGRAM,
        };
        let known = self
            .inherited
            .iter()
            .position(|(address, socket)| *address == listen && systemd::is_of_type(socket, kind));
        let socket = match known {
            Some(at) => self.inherited.swap_remove(at).1,
            None => {
                let socket =
                    Socket::new(socket2::Domain::for_address(listen), kind.nonblocking(), None)?;
                if listen.is_ipv6() {
                    // `[::]:80` does not include `0.0.0.0:80`.
                    socket.set_only_v6(true)?;
                }
                if protocol == Protocol::Tcp {
                    // Earlier connections may still be closing.
                    socket.set_reuse_address(true)?;
                }
                socket.bind(&listen.into())?;
                if protocol == Protocol::Tcp {
                    socket.listen(BACKLOG)?;
                }
                socket
            }
        };
        Ok(match protocol {
            Protocol::Tcp => Open::Tcp(Rc::new(TcpListener::from_std(socket.into())?)),
            Protocol::Udp => Open::Udp(Rc::new(UdpSocket::from_std(socket.into())?)),
        })
    }
}
