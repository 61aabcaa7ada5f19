//! The toolstack: `xl` as it is, one process for each thing that is to be done.

use crate::config::General;
use std::{cell::RefCell, ffi::OsStr, path::Path, process::Stdio, rc::Rc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    task::{JoinHandle, spawn_local},
    time::timeout,
};

/// How much of what a call prints is kept.
const PRINTED: usize = 4 << 20;

/// A domain that `xl list` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its number, which no other domain has had since the host booted.
    pub id: u32,
    /// Whether it runs, or would if it were not paused; a dead one may be kept for whoever wants to look at it.
    pub alive: bool,
}

/// Creates a domain, under this name whatever its file says.
///
/// # Errors
///
/// What xl said of it.
pub async fn create(general: &General, config: &Path, name: &str) -> Result<(), String> {
    call(general, &["create".as_ref(), config.as_os_str(), format!("name=\"{name}\"").as_ref()])
        .await
        .map(drop)
}

/// Restores a domain, under the name that it was saved with.
///
/// # Errors
///
/// What xl said of it.
pub async fn restore(general: &General, state: &Path) -> Result<(), String> {
    call(general, &["restore".as_ref(), state.as_os_str()]).await.map(drop)
}

/// Saves a domain, which is gone afterwards.
///
/// # Errors
///
/// What xl said of it. The domain goes on, as a rule.
pub async fn save(general: &General, name: &str, state: &Path) -> Result<(), String> {
    call(general, &["save".as_ref(), name.as_ref(), state.as_os_str()]).await.map(drop)
}

/// Asks a domain to shut down, and waits until it has.
///
/// # Errors
///
/// What xl said of it.
pub async fn shutdown(general: &General, name: &str) -> Result<(), String> {
    call(general, &["shutdown".as_ref(), "-w".as_ref(), name.as_ref()]).await.map(drop)
}

/// Ends a domain, or what is left of one.
///
/// # Errors
///
/// What xl said of it.
pub async fn destroy(general: &General, name: &str) -> Result<(), String> {
    call(general, &["destroy".as_ref(), name.as_ref()]).await.map(drop)
}

/// All domains.
///
/// # Errors
///
/// What xl said of it.
pub async fn list(general: &General) -> Result<Vec<Listed>, String> {
    Ok(call(general, &["list".as_ref()]).await?.lines().filter_map(parse).collect())
}

/// A line of `xl list`: name, number, memory, processors, state, time. A name may have spaces.
fn parse(line: &str) -> Option<Listed> {
    let mut words = line.split_whitespace().rev();
    words.next()?.parse::<f64>().ok()?;
    let state = words.next()?;
    let id = words.nth(2)?.parse().ok()?;
    let name = words.rev().collect::<Vec<_>>().join(" ");
    // The letters are in xl(1): running, blocked, paused, shut down, crashed, dying.
    Some(Listed { name, id, alive: !state.contains(['s', 'c', 'd']) })
}

/// Runs xl, and gives what it printed.
async fn call(general: &General, arguments: &[&OsStr]) -> Result<String, String> {
    let what = || format!("xl {}", arguments[0].to_string_lossy());
    let mut child = Command::new(&general.xl)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // What systemd gave is for this program alone, and so is Ctrl-C.
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
    // `xl create` leaves a process that watches over the domain. Should it hold the pipes open, what was printed until
    // now is all that is wanted.
    let [out, err] = [out.text().await, err.text().await];
    log::debug!("{} ended: {status}", what());
    if status.success() {
        return Ok(out);
    }
    let said = if err.trim().is_empty() { out } else { err };
    let said: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // The first lines name the cause, and the last what it led to.
    let said = if said.is_empty() {
        "it said nothing".into()
    } else {
        said[..said.len().min(4)].join("; ")
    };
    Err(format!("{} failed ({status}): {said}", what()))
}

/// What a process prints, as it comes.
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
            // A read that fails ends what is known. What nobody keeps is read all the same.
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
Name                                        ID   Mem VCPUs\tState\tTime(s)
Domain-0                                     0   256     1     r-----      12.3
http                                         4    48     1     -b----       0.3
a guest                                     15    48     1     --p---       0.0
dead                                         7     0     1     ---s--       1.1
crashed                                      8     0     1     ----c-       1.1
(null)                                       9     0     1     --ps-d       1.1
";
        let found = text.lines().filter_map(parse).collect::<Vec<_>>();
        let one = |name: &str, id, alive| Listed { name: name.into(), id, alive };
        let expected = [
            one("Domain-0", 0, true),
            one("http", 4, true),
            one("a guest", 15, true),
            one("dead", 7, false),
            one("crashed", 8, false),
            one("(null)", 9, false),
        ];
        assert_eq!(found, expected);
    }
}
