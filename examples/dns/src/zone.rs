//! Zones, and what they say to a question (RFC 1034 section 4.3.2, with the wildcards of RFC 4592).

use std::collections::HashMap;

use crate::answer::{Answer, Part};
use crate::master::{self, Record};
use crate::name;
use crate::rdata::kind;

/// Aliases that one answer follows at most.
const MAX_ALIASES: usize = 8;

/// The records of one name and type.
struct Set {
    kind: u16,
    ttl: u32,
    data: Vec<Vec<u8>>,
}

/// What is at a name; nothing, if it is only there because of names below it.
#[derive(Default)]
struct Node {
    sets: Vec<Set>,
}

impl Node {
    fn set(&self, kind: u16) -> Option<&Set> {
        self.sets.iter().find(|set| set.kind == kind)
    }
}

/// A zone. The names it is looked up by are in small letters.
pub struct Zone {
    origin: Vec<u8>,
    nodes: HashMap<Vec<u8>, Node>,
}

/// Where a name is.
enum Place<'a> {
    /// At a cut or below it: in somebody else's zone.
    Below(&'a [u8], &'a Set),
    At(&'a Node),
    Nowhere,
}

impl Zone {
    /// The zone of a master file.
    ///
    /// # Errors
    ///
    /// The line, and what is wrong with it; what the zone does not have.
    pub fn new(origin: &str, text: &str) -> Result<Self, String> {
        let origin = name::parse(format!("{}.", origin.trim_end_matches('.')).as_bytes(), &[0])?;
        let origin = name::lower(&origin);
        let mut zone = Zone { nodes: HashMap::new(), origin };
        for (line, record) in master::parse(text, &zone.origin.clone())? {
            zone.add(record).map_err(|message| format!("line {line}: {message}"))?;
        }
        let apex = zone.nodes.get(&zone.origin);
        let set = |kind| apex.and_then(|node| node.set(kind)).map_or(0, |set| set.data.len());
        if set(kind::SOA) != 1 || set(kind::NS) == 0 {
            return Err("a zone has one SOA at its top, and name servers".into());
        }
        Ok(zone)
    }

    /// How many records it has.
    pub fn records(&self) -> usize {
        self.nodes.values().flat_map(|node| &node.sets).map(|set| set.data.len()).sum()
    }

    fn add(&mut self, record: Record) -> Result<(), String> {
        let owner = name::lower(&record.owner);
        if !name::ancestors(&owner).any(|name| name == self.origin) {
            return Err("a name outside of the zone".into());
        }
        if record.data.len() > usize::from(u16::MAX) {
            return Err("a record above 65535 bytes".into());
        }
        // The names between it and the top exist as well (RFC 4592 section 2.2.2).
        for name in name::ancestors(&owner).take_while(|name| *name != self.origin) {
            self.nodes.entry(name.to_vec()).or_default();
        }
        let node = self.nodes.entry(owner).or_default();
        let alias = |kind| kind == kind::CNAME;
        if node.sets.iter().any(|set| alias(set.kind) || alias(record.kind)) {
            return Err("an alias is alone at its name".into());
        }
        match node.sets.iter_mut().find(|set| set.kind == record.kind) {
            // RFC 2181 section 5.2.
            Some(set) if set.ttl != record.ttl => {
                return Err("records of one name and type have one time to live".into());
            }
            Some(set) => set.data.push(record.data),
            None => {
                let (kind, ttl) = (record.kind, record.ttl);
                node.sets.push(Set { kind, ttl, data: vec![record.data] });
            }
        }
        Ok(())
    }

    /// The answer to a question for a name of the zone, in small letters.
    pub fn answer(&self, name: &[u8], kind: u16) -> Answer {
        let mut answer = Answer::new(true, Answer::NO_ERROR);
        let mut name = name.to_vec();
        let mut seen = Vec::new();
        loop {
            let node = match self.find(&name) {
                Place::At(node) => node,
                // What is said of a cut itself is above it (RFC 4035 section 3.1.4.1).
                Place::Below(cut, _) if kind == kind::DS && cut == name => &self.nodes[cut],
                Place::Below(cut, servers) => {
                    // After an alias, the alias is still ours.
                    answer.authoritative = !seen.is_empty();
                    answer.add(Part::Authority, cut, servers.kind, servers.ttl, &servers.data);
                    self.add_addresses(&mut answer, servers);
                    return answer;
                }
                Place::Nowhere => {
                    answer.rcode = Answer::NO_SUCH_NAME;
                    self.add_soa(&mut answer);
                    return answer;
                }
            };
            let found = match kind {
                // One set is enough (RFC 8482).
                kind::ANY => node.sets.first(),
                _ => node.set(kind),
            };
            if let Some(set) = found {
                answer.add(Part::Answer, &name, set.kind, set.ttl, &set.data);
                self.add_addresses(&mut answer, set);
                return answer;
            }
            let Some(alias) = node.set(kind::CNAME) else {
                self.add_soa(&mut answer);
                return answer;
            };
            answer.add(Part::Answer, &name, alias.kind, alias.ttl, &alias.data);
            let target = name::lower(&alias.data[0]);
            seen.push(name);
            let inside = name::ancestors(&target).any(|name| name == self.origin);
            if !inside || seen.contains(&target) || seen.len() == MAX_ALIASES {
                return answer;
            }
            name = target;
        }
    }

    /// Goes from the top down to a name of the zone.
    fn find(&self, name: &[u8]) -> Place<'_> {
        let mut path: Vec<&[u8]> = name::ancestors(name).collect();
        let top = path.iter().position(|name| *name == self.origin).unwrap_or(0);
        path.truncate(top);
        let (mut encloser, mut node) = (self.origin.as_slice(), &self.nodes[&self.origin]);
        for name in path.into_iter().rev() {
            let Some((name, below)) = self.nodes.get_key_value(name) else {
                let wildcard = [b"\x01*", encloser].concat();
                return self.nodes.get(&wildcard).map_or(Place::Nowhere, Place::At);
            };
            if let Some(servers) = below.set(kind::NS) {
                return Place::Below(name, servers);
            }
            (encloser, node) = (name, below);
        }
        Place::At(node)
    }

    /// The addresses of the hosts that records name, as far as the zone knows them: below a cut they
    /// are the way to the servers there.
    fn add_addresses(&self, answer: &mut Answer, set: &Set) {
        let at = match set.kind {
            kind::NS => 0,
            kind::MX => 2,
            kind::SRV => 6,
            _ => return,
        };
        for data in &set.data {
            let host = name::lower(&data[at..]);
            let Some(node) = self.nodes.get(&host) else { continue };
            for set in node.sets.iter().filter(|set| [kind::A, kind::AAAA].contains(&set.kind)) {
                answer.add(Part::Additional, &host, set.kind, set.ttl, &set.data);
            }
        }
    }

    /// Says how long it stays so that there is nothing (RFC 2308 section 3).
    fn add_soa(&self, answer: &mut Answer) {
        let Some(soa) = self.nodes[&self.origin].set(kind::SOA) else { return };
        let data = &soa.data[0];
        let minimum = data.last_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        answer.add(Part::Authority, &self.origin, kind::SOA, soa.ttl.min(minimum), &soa.data);
    }
}

/// The zones of a server.
#[derive(Default)]
pub struct Zones(HashMap<Vec<u8>, Zone>);

impl Zones {
    /// Adds a zone, or replaces it.
    pub fn add(&mut self, zone: Zone) {
        self.0.insert(zone.origin.clone(), zone);
    }

    /// The answer to a question for any name, as it stands in a message.
    pub fn answer(&self, name: &[u8], kind: u16) -> Answer {
        if !name::is_valid(name) {
            return Answer::new(false, Answer::FORMAT_ERROR);
        }
        let name = name::lower(name);
        let zone = name::ancestors(&name).find_map(|origin| self.0.get(origin));
        match zone {
            Some(zone) => zone.answer(&name, kind),
            None => Answer::new(false, Answer::REFUSED),
        }
    }
}
