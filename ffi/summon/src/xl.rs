//! The toolstack: one process of `xl` for each action.

use crate::config::General;
use std::{cell::RefCell, ffi::OsStr, path::Path, process::Stdio, rc::Rc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    task::{JoinHandle, spawn_local},
    time::timeout,
};

/// How much of a call's output is kept, in octets.
const PRINTED: usize = 4 << 20;

/// A domain that `xl list` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its number. It changes when the domain is restarted or restored, and not when it is renamed.
    pub id: u32,
    /// Its UUID, which stays the same when it is renamed, restarted or restored.
    pub uuid: String,
    /// Whether it is running, blocked or paused. A dead domain may be kept for inspection.
    pub alive: bool,
}

/// Creates a domain, with this name instead of the one in its file.
///
/// # Errors
///
/// What xl said.
pub async fn create(general: &General, config: &Path, name: &str) -> Result<(), String> {
    call(general, &["create".as_ref(), config.as_os_str(), format!("name=\"{name}\"").as_ref()])
        .await
        .map(drop)
}

/// Restores a domain, under the name that it was saved with.
///
/// # Errors
///
/// What xl said.
pub async fn restore(general: &General, state: &Path) -> Result<(), String> {
    call(general, &["restore".as_ref(), state.as_os_str()]).await.map(drop)
}

/// Saves a domain, which is gone afterwards. Here and below it is named by its name or by its number.
///
/// # Errors
///
/// What xl said. The domain usually goes on.
pub async fn save(general: &General, domain: &str, state: &Path) -> Result<(), String> {
    call(general, &["save".as_ref(), domain.as_ref(), state.as_os_str()]).await.map(drop)
}

/// Gives a domain another name.
///
/// # Errors
///
/// What xl said: another domain has that name, for one.
pub async fn rename(general: &General, domain: &str, name: &str) -> Result<(), String> {
    call(general, &["rename".as_ref(), domain.as_ref(), name.as_ref()]).await.map(drop)
}

/// Asks a domain to shut down, and waits until it has.
///
/// # Errors
///
/// What xl said.
pub async fn shutdown(general: &General, domain: &str) -> Result<(), String> {
    call(general, &["shutdown".as_ref(), "-w".as_ref(), domain.as_ref()]).await.map(drop)
}

/// Ends a domain, or what is left of one.
///
/// # Errors
///
/// What xl said.
pub async fn destroy(general: &General, domain: &str) -> Result<(), String> {
    call(general, &["destroy".as_ref(), domain.as_ref()]).await.map(drop)
}

/// All domains.
///
/// # Errors
///
/// What xl said.
pub async fn list(general: &General) -> Result<Vec<Listed>, String> {
    Ok(call(general, &["list".as_ref(), "--verbose".as_ref()])
        .await?
        .lines()
        .filter_map(parse)
        .collect())
}

/// Finds a domain in the list.
pub fn find<'a>(list: &'a [Listed], name: &str) -> Option<&'a Listed> {
    list.iter().find(|listed| listed.name == name)
}

/// A line of `xl list --verbose`: name, number, memory, processors, state, time, UUID, why it was shut down, and its
/// security label. A name may have spaces.
fn parse(line: &str) -> Option<Listed> {
    let mut words = line.split_whitespace().rev();
    let uuid = words.nth(2)?.into();
    words.next()?.parse::<f64>().ok()?;
    let state = words.next()?;
    let id = words.nth(2)?.parse().ok()?;
    let name = words.rev().collect::<Vec<_>>().join(" ");
    // The letters are in xl(1): running, blocked, paused, shut down, crashed, dying.
    Some(Listed { name, id, uuid, alive: !state.contains(['s', 'c', 'd']) })
}

/// Runs xl and returns its output.
async fn call(general: &General, arguments: &[&OsStr]) -> Result<String, String> {
    let what = || format!("xl {}", arguments[0].to_string_lossy());
    let mut child = Command::new(&general.xl)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // What systemd passed, and Ctrl-C, are for this program alone.
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDNAMES")
        .env_remove("NOTIFY_SOCKET")
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", general.xl.display()))?;
    let out = Printed::read(child.stdout.take().expect("it is piped"));
    let err = Printed::read(child.stderr.take().expect("it is piped"));
    let status = match timeout(general.xl_limit, child.wait()).await {
        Ok(status) => status.map_err(|error| format!("{}: {error}", what()))?,
        Err(_) => {
            let _ = child.kill().await;
            return Err(format!(
                "{} had not ended after {:?}, and was killed",
                what(),
                general.xl_limit
            ));
        }
    };
    // `xl create` leaves a process behind that supervises the domain. Should that hold the pipes open, the output so
    // far is enough.
    let [out, err] = [out.text().await, err.text().await];
    log::debug!("{} ended: {status}", what());
    if status.success() {
        return Ok(out);
    }
    let said = if err.trim().is_empty() { out } else { err };
    let said = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let said: Vec<_> = said.filter(|line| !line.starts_with("Parsing config from")).collect();
    // The first lines name the cause, later ones what it led to.
    let said = if said.is_empty() {
        "it said nothing".into()
    } else {
        said[..said.len().min(4)].join("; ")
    };
    Err(format!("{} failed ({status}): {said}", what()))
}

/// The output of a process, as it arrives.
struct Printed {
    octets: Rc<RefCell<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Printed {
    fn read(mut pipe: impl AsyncRead + Unpin + 'static) -> Self {
        let octets = Rc::new(RefCell::new(Vec::new()));
        let kept = octets.clone();
        let reader = spawn_local(async move {
            let mut some = [0; 4096];
            // A failed read ends the output. Output beyond the limit is read and dropped, so that the process never
            // blocks.
            while let Ok(n @ 1..) = pipe.read(&mut some).await {
                let mut kept = kept.borrow_mut();
                let room = PRINTED.saturating_sub(kept.len());
                kept.extend_from_slice(&some[..n.min(room)]);
            }
        });
        Printed { octets, reader }
    }

    async fn text(mut self) -> String {
        let _ = timeout(Duration::from_secs(2), &mut self.reader).await;
        self.reader.abort();
        String::from_utf8_lossy(&self.octets.borrow()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_xl_list() {
        let text = "\
Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID                            Reason-Code\tSecurity Label
Domain-0                                     0   256     1     r-----      12.3 0-0        -                -
http                                         4    48     1     -b----       0.3 4-a        -                -
a guest                                     15    48     1     --p---       0.0 f-b        -   user_u:vm_r:vm
dead                                         7     0     1     ---s--       1.1 7-c        0                -
crashed                                      8     0     1     ----c-       1.1 8-d        3                -
(null)                                       9     0     1     --ps-d       1.1 9-e        0                -
";
        let found = text.lines().filter_map(parse).collect::<Vec<_>>();
        let one = |name: &str, id, uuid: &str, alive| {
            let (name, uuid) = (name.into(), uuid.into());
            Listed { name, id, uuid, alive }
        };
        let expected = [
            one("Domain-0", 0, "0-0", true),
            one("http", 4, "4-a", true),
            one("a guest", 15, "f-b", true),
            one("dead", 7, "7-c", false),
            one("crashed", 8, "8-d", false),
            one("(null)", 9, "9-e", false),
        ];
        assert_eq!(found, expected);
    }
}
