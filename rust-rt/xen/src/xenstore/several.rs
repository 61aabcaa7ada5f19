//! Several requests at once: each visit to the daemon takes two switches between domains, and a device needs dozens of
//! nodes.

use super::{Xenstore, error::Error, reply::Reply};
use crate::wire::xenstore::{self as wire, Kind};
use alloc::{string::String, vec::Vec};

/// Requests that have been made and whose answers may still be under way. The daemon follows them in their order, and
/// before any that is made later.
#[derive(Debug)]
pub struct Asked(Vec<Result<Reply, Error>>);

impl Xenstore {
    /// Asks for the values of several nodes.
    pub fn read_all(&self, paths: &[String]) -> Asked {
        Asked(paths.iter().map(|path| self.make(Kind::Read, path, &[])).collect())
    }

    /// Sets the values of several nodes, each as [`write`](Self::write) does.
    pub fn write_all(&self, nodes: &[(String, String)]) -> Asked {
        let write =
            |(path, value): &(String, String)| self.make(Kind::Write, path, value.as_bytes());
        Asked(nodes.iter().map(write).collect())
    }

    fn make(&self, kind: Kind, path: &str, value: &[u8]) -> Result<Reply, Error> {
        if !wire::path_is_valid(path) {
            return Err(Error::BadPath);
        }
        Reply::to(&self.connection, kind, self.tx_id, &[path.as_bytes(), b"\0", value])
    }
}

impl Asked {
    /// The values as text, in the order of the paths.
    pub async fn texts(self) -> Vec<Result<String, Error>> {
        let mut texts = Vec::with_capacity(self.0.len());
        for reply in self.0 {
            let bytes = match reply {
                Ok(reply) => reply.await,
                Err(error) => Err(error),
            };
            let text = |bytes| String::from_utf8(bytes).map_err(|_| Error::BadValue);
            texts.push(bytes.and_then(text));
        }
        texts
    }

    /// Waits until all has been written.
    ///
    /// # Errors
    ///
    /// The first one; the other nodes may have been written nevertheless.
    pub async fn written(self) -> Result<(), Error> {
        let mut first = Ok(());
        for answer in self.texts().await {
            let written = answer.and_then(|text| Ok(wire::parse_ok(text.as_bytes())?));
            first = first.and(written);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::poll_once, xenstore::daemon::Rig};
    use alloc::boxed::Box;

    fn paths<const N: usize>(paths: [&str; N]) -> [String; N] {
        paths.map(String::from)
    }

    #[test]
    fn answers_come_in_the_order_of_the_questions() {
        let rig = Rig::new();
        for (node, value) in [("a", &b"1"[..]), ("b", b"\xff"), ("c", b"3")] {
            rig.daemon.borrow_mut().change(node, value);
        }
        let asked = rig.store.read_all(&paths(["c", "a", "none", "b", "/bad//path"]));
        let expected = [
            Ok("3".into()),
            Ok("1".into()),
            Err(Error::NotFound),
            Err(Error::BadValue),
            Err(Error::BadPath),
        ];
        assert_eq!(rig.run(asked.texts()), expected);
    }

    #[test]
    fn all_is_asked_before_the_first_answer_and_with_one_notification() {
        let rig = Rig::new();
        rig.steps(2);
        rig.world.xen.take_sent();
        rig.daemon.borrow_mut().hold = true;
        let mut asked = Box::pin(rig.store.read_all(&paths(["a", "b", "c"])).texts());
        assert!(poll_once(&mut asked).is_pending());
        assert_eq!(rig.world.xen.take_sent(), []);
        rig.step();
        assert_eq!(rig.daemon.borrow().held.len(), 3);
        rig.steps(4);
        let sent = rig.world.xen.take_sent();
        // One for the questions, and one for having taken nothing: the ring has room again.
        assert_eq!(sent.len(), 1, "{sent:?}");
    }

    #[test]
    fn what_is_written_is_there_and_the_first_error_counts() {
        let rig = Rig::new();
        let node = |path: &str, value: &str| (String::from(path), String::from(value));
        let asked = rig.store.write_all(&[node("a", "1"), node("b", "2")]);
        assert_eq!(rig.run(asked.written()), Ok(()));
        let nodes = [node("/local/domain/0/x", "1"), node("bad//path", "2"), node("c", "3")];
        assert_eq!(rig.run(rig.store.write_all(&nodes).written()), Err(Error::Denied));
        assert_eq!(rig.run(rig.store.read_text("c")).as_deref(), Ok("3"));
    }

    #[test]
    fn questions_may_be_dropped_at_any_time() {
        let rig = Rig::new();
        for moment in 0..6 {
            let mut asked = Box::pin(rig.store.read_all(&paths(["a", "b"])).texts());
            for _ in 0..moment {
                if poll_once(&mut asked).is_ready() {
                    break;
                }
                rig.step();
            }
            drop(asked);
            rig.steps(5);
            assert!(rig.store.is_quiet(), "moment {moment}");
        }
    }
}
