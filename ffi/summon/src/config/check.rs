//! Checks what TOML's types do not express: addresses, times, limits, and that no address is used twice.

use super::{
    plan::{Asleep, Config, Fault, General, Place, Plan, Protocol, Way, line},
    raw, time,
};
use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};
use toml::Spanned;

/// Whether a name suits xl, file names and labels of metrics.
fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    !name.is_empty() && name.len() <= 64 && !name.starts_with(['-', '.']) && name.chars().all(good)
}

/// Converts the raw configuration and collects faults. A faulty value is replaced by a dummy, which is never used.
pub struct Checker<'a> {
    text: &'a str,
    faults: Vec<Fault>,
    /// The domain that each socket belongs to, and the line that says so.
    places: HashMap<Place, (String, usize)>,
}

impl<'a> Checker<'a> {
    pub fn new(text: &'a str) -> Self {
        Checker { text, faults: Vec::new(), places: HashMap::new() }
    }

    /// The configuration, if there were no faults.
    pub fn done(mut self, config: Config) -> Result<Config, Vec<Fault>> {
        self.faults.sort();
        if self.faults.is_empty() { Ok(config) } else { Err(self.faults) }
    }

    fn fault<T>(&mut self, at: &Spanned<T>, what: String) {
        self.faults.push(Fault { line: line(self.text, at.span().start), what });
    }

    pub fn config(&mut self, raw: raw::File) -> Config {
        let general = Rc::new(self.general(&raw.summon));
        let domains = raw
            .domain
            .iter()
            .map(|(name, domain)| (name.get_ref().clone(), Rc::new(self.plan(name, domain))));
        Config { general, domains: domains.collect() }
    }

    fn general(&mut self, raw: &raw::General) -> General {
        let path = |value: &Option<Spanned<String>>, default: &str| {
            PathBuf::from(value.as_ref().map_or(default, |v| v.get_ref()))
        };
        let deaths = match &raw.deaths {
            Some(command) if command.get_ref().is_empty() => {
                let what = "no program to start: leave `deaths` out, or name one and its arguments";
                self.fault(command, what.into());
                Vec::new()
            }
            Some(command) => command.get_ref().clone(),
            None => ["xenstore-watch", "@releaseDomain"].map(String::from).into(),
        };
        General {
            xl: path(&raw.xl, "xl"),
            xl_limit: self.time("xl-limit", &raw.xl_limit, Duration::from_secs(300)),
            deaths,
            state: path(&raw.state, "/var/lib/mirust-summon"),
            metrics: raw.metrics.as_ref().and_then(|v| self.address("metrics", v, v.get_ref())),
            starts: self.number("starts", &raw.starts, 1..=1000, 4),
        }
    }

    fn plan(&mut self, name: &Spanned<String>, raw: &raw::Domain) -> Plan {
        if !is_name(name.get_ref()) {
            let what = format!(
                "`{}` cannot be a domain's name: use letters, digits and - _ . +, at most 64",
                name.get_ref()
            );
            self.fault(name, what);
        }
        let asleep = match raw.asleep.as_ref().map(|v| (v, v.get_ref().as_str())) {
            None | Some((_, "shutdown")) => Asleep::Shutdown,
            Some((_, "save")) => Asleep::Save,
            Some((_, "destroy")) => Asleep::Destroy,
            Some((value, other)) => {
                let what = format!(
                    "asleep = \"{other}\" is unknown: write \"save\", \"shutdown\" or \"destroy\""
                );
                self.fault(value, what);
                Asleep::Shutdown
            }
        };
        if let (Asleep::Save, Some(warm)) = (asleep, &raw.warm) {
            let what = "a domain that always starts from `warm` is not saved: \
                        leave `warm` out, or say asleep = \"destroy\"";
            self.fault(warm, what.into());
        }
        if let (None, Some(value)) = (&raw.idle, &raw.asleep) {
            let what = "the domain never goes to sleep: add idle = \"5m\", or leave `asleep` out";
            self.fault(value, what.into());
        }
        Plan {
            name: name.get_ref().clone(),
            config: PathBuf::from(raw.config.get_ref()),
            warm: raw.warm.as_ref().map(|v| PathBuf::from(v.get_ref())),
            ways: self.ways(name.get_ref(), raw),
            ready: raw.ready.as_ref().and_then(|v| self.address("ready", v, v.get_ref())),
            idle: raw.idle.as_ref().map(|_| self.time("idle", &raw.idle, Duration::ZERO)),
            asleep,
            hold: self.time("hold", &raw.hold, Duration::from_secs(30)),
            queue: self.number("queue", &raw.queue, 1..=100_000, 64),
            connections: self.number("connections", &raw.connections, 1..=100_000, 1024),
            retry: self.time("retry", &raw.retry, Duration::from_secs(5)),
            proxy_protocol: raw.proxy_protocol.as_ref().is_some_and(|v| *v.get_ref()),
        }
    }

    /// Pairs each place with its target: one target for all, or one for each place.
    fn ways(&mut self, name: &str, raw: &raw::Domain) -> Vec<Way> {
        let (listen, target) = (raw.listen.get_ref().all(), raw.target.get_ref().all());
        if listen.is_empty() {
            self.fault(&raw.listen, "an empty list: write where clients connect".into());
        }
        if target.len() != 1 && target.len() != listen.len() {
            let what = format!(
                "{} targets for {} places to listen at: name one for all, or one for each in their order",
                target.len(),
                listen.len()
            );
            self.fault(&raw.target, what);
            return Vec::new();
        }
        let mut ways = Vec::new();
        for (i, listen) in listen.iter().enumerate() {
            let Some(place) = self.place(&raw.listen, listen) else { continue };
            let text = &target[if target.len() == 1 { 0 } else { i }];
            let Some(target) = self.target(&raw.target, text, place.listen.port()) else {
                continue;
            };
            if leads_back(place.listen, target) {
                let what = format!(
                    "{text} leads back to {place}, where clients connect: write the domain's address"
                );
                self.fault(&raw.target, what);
            }
            let here = line(self.text, raw.listen.span().start);
            if let Some((other, line)) = self.places.insert(place, (name.into(), here)) {
                let what = format!(
                    "{place} is already used by {other} (line {line}): each address serves one domain"
                );
                self.fault(&raw.listen, what);
            }
            ways.push(Way { place, target });
        }
        ways
    }

    /// `0.0.0.0:80`, `tcp:0.0.0.0:80` or `udp:[::]:53`.
    fn place(&mut self, at: &Spanned<raw::OneOrMore>, text: &str) -> Option<Place> {
        let (protocol, address) = match text.split_once(':') {
            Some(("tcp", rest)) => (Protocol::Tcp, rest),
            Some(("udp", rest)) => (Protocol::Udp, rest),
            _ => (Protocol::Tcp, text),
        };
        let listen = self.address("listen", at, address)?;
        Some(Place { protocol, listen })
    }

    /// An address with a port, or without one if the port is the same as in `listen`.
    fn target(
        &mut self,
        at: &Spanned<raw::OneOrMore>,
        text: &str,
        port: u16,
    ) -> Option<SocketAddr> {
        let target = match text.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => SocketAddr::new(address, port),
            Err(_) => self.address("target", at, text)?,
        };
        if target.ip().is_unspecified() {
            self.fault(at, format!("{text} is not the address of a domain: write the one it has"));
            return None;
        }
        Some(target)
    }

    fn address<T>(&mut self, key: &str, at: &Spanned<T>, text: &str) -> Option<SocketAddr> {
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 => Some(address),
            _ => {
                let what = format!(
                    "{key}: `{text}` is not an address and port: write them like 10.0.0.2:80 or [fd00::2]:80"
                );
                self.fault(at, what);
                None
            }
        }
    }

    fn time(&mut self, key: &str, raw: &Option<Spanned<String>>, default: Duration) -> Duration {
        let Some(value) = raw else { return default };
        time::parse(value.get_ref()).unwrap_or_else(|| {
            let what = format!(
                "{key}: `{}` is not a length of time: write a whole number with a unit, such as 500ms, 30s, 5m, 2h or 1d",
                value.get_ref()
            );
            self.fault(value, what);
            default
        })
    }

    fn number(
        &mut self,
        key: &str,
        raw: &Option<Spanned<i64>>,
        range: RangeInclusive<usize>,
        default: usize,
    ) -> usize {
        let Some(value) = raw else { return default };
        match usize::try_from(*value.get_ref()) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (low, high) = range.into_inner();
                self.fault(value, format!("{key} = {}: must be {low} to {high}", value.get_ref()));
                default
            }
        }
    }
}

/// Whether a connection to `target` from this host ends up at `listen`: each client would then cause another one.
fn leads_back(listen: SocketAddr, target: SocketAddr) -> bool {
    let everywhere = listen.ip().is_unspecified() && listen.is_ipv4() == target.is_ipv4();
    listen == target || everywhere && target.ip().is_loopback() && listen.port() == target.port()
}

/// What the configuration names but this machine does not have. Only `--check` asks, since it may be installed later.
pub fn presence(config: &Config) -> Vec<String> {
    let mut missing = Vec::new();
    if !is_program(&config.general.xl) {
        let xl = config.general.xl.display();
        missing.push(format!(
            "there is no program {xl}: install Xen's tools, or say xl = \"PATH\" under [summon]"
        ));
    }
    let files: BTreeMap<_, _> = config
        .domains
        .values()
        .flat_map(|plan| {
            [Some(("config", &plan.config)), plan.warm.as_ref().map(|warm| ("warm", warm))]
                .into_iter()
                .flatten()
                .map(move |(key, path)| (path, (key, &plan.name)))
        })
        .collect();
    for (path, (key, name)) in files {
        if let Err(error) = std::fs::File::open(path) {
            missing.push(format!("[domain.{name}] {key} = \"{}\": {error}", path.display()));
        }
    }
    missing
}

fn is_program(path: &Path) -> bool {
    if path.components().count() > 1 {
        return path.is_file();
    }
    let places = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&places).any(|place| place.join(path).is_file())
}
