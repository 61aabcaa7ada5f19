//! The keys of the file and their types. Nothing else is checked here.

use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// The keys at the top.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// `[summon]`
    #[serde(default)]
    pub summon: General,
    /// `[domain.NAME]`
    #[serde(default)]
    pub domain: BTreeMap<Spanned<String>, Domain>,
}

/// The keys of `[summon]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct General {
    pub xl: Option<Spanned<String>>,
    pub xl_limit: Option<Spanned<String>>,
    pub deaths: Option<Spanned<Vec<String>>>,
    pub state: Option<Spanned<String>>,
    pub metrics: Option<Spanned<String>>,
    pub starts: Option<Spanned<i64>>,
}

/// The keys of `[domain.NAME]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Domain {
    pub config: Spanned<String>,
    pub listen: Spanned<OneOrMore>,
    pub target: Spanned<OneOrMore>,
    pub warm: Option<Spanned<String>>,
    pub ready: Option<Spanned<String>>,
    pub idle: Option<Spanned<String>>,
    pub asleep: Option<Spanned<String>>,
    pub hold: Option<Spanned<String>>,
    pub queue: Option<Spanned<i64>>,
    pub connections: Option<Spanned<i64>>,
    pub retry: Option<Spanned<String>>,
    pub proxy_protocol: Option<Spanned<bool>>,
}

/// A string, or a list of them.
#[derive(Deserialize)]
#[serde(untagged, expecting = "this must be a string, or a list of strings")]
pub enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    /// As a list.
    pub fn all(&self) -> &[String] {
        match self {
            OneOrMore::One(one) => std::slice::from_ref(one),
            OneOrMore::More(more) => more,
        }
    }
}

/// The TOML reader's message, with a remedy for common faults.
pub fn explain(error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', ", ");
    let missing = ["config", "listen", "target"]
        .into_iter()
        .find(|key| message.starts_with(&format!("missing field `{key}`")));
    match missing {
        Some("config") => {
            format!("{message}: add the file for xl, as in config = \"/etc/xen/NAME.cfg\"")
        }
        Some("listen") => {
            format!("{message}: add where clients connect, as in listen = \"0.0.0.0:80\"")
        }
        Some(_) => {
            format!("{message}: add where the domain serves, as in target = \"10.0.0.2:80\"")
        }
        None => message,
    }
}
