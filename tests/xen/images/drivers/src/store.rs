//! Xenstore, as the real daemon answers.

use mirust::time::now;
use mirust_rt::{
    wire::{
        DomId,
        xenstore::{Access, Perm},
    },
    xen::{
        self,
        xenstore::{Error, Xenstore},
    },
};

fn store() -> Xenstore {
    xen::store().expect("there is a xenstore")
}

/// What is written is read back; children, permissions and removal.
pub async fn values() {
    let store = store();
    let domid: u16 = store.read_parsed("domid").await.expect("a number");
    let path = store.domain_path(DomId(domid)).await.expect("a path");
    assert_eq!(path, format!("/local/domain/{domid}"));
    store.write("data/drivers/text", "one two").await.expect("a write");
    store.write("data/drivers/bytes", [0, 1, 0xff]).await.expect("a write");
    store.mkdir("data/drivers/empty").await.expect("a directory");
    let text = store.read_text(&format!("{path}/data/drivers/text")).await;
    assert_eq!(text.as_deref(), Ok("one two"));
    assert_eq!(store.read("data/drivers/bytes").await.as_deref(), Ok(&[0, 1, 0xff][..]));
    assert_eq!(store.read("data/drivers/empty").await.as_deref(), Ok(&[][..]));
    let mut names = store.directory("data/drivers").await.expect("a list");
    names.sort();
    assert_eq!(names, ["bytes", "empty", "text"]);
    let long = "x".repeat(2000);
    store.write("data/drivers/text", &long).await.expect("a write larger than the ring");
    assert_eq!(store.read_text("data/drivers/text").await.as_deref(), Ok(&*long));

    let perms = vec![
        Perm { domid: DomId(domid), access: Access::None },
        Perm { domid: DomId::DOM0, access: Access::Read },
    ];
    store.set_perms("data/drivers", &perms).await.expect("our own node");
    assert_eq!(store.get_perms("data/drivers").await, Ok(perms));

    store.rm("data/drivers").await.expect("a removal");
    assert_eq!(store.directory("data/drivers").await, Err(Error::NotFound));
}

/// What the daemon refuses has its own name.
pub async fn errors() {
    let store = store();
    assert_eq!(store.read("data/nothing").await, Err(Error::NotFound));
    assert_eq!(store.write("/local/domain/0/mine", "x").await, Err(Error::Denied));
    assert_eq!(store.rm("/local/domain/0").await, Err(Error::Denied));
    assert_eq!(store.read("data//nothing").await, Err(Error::BadPath));
    assert_eq!(store.write("data/x", vec![b'x'; 4090]).await, Err(Error::TooBig));
    assert_eq!(store.oddities(), 0);
}

/// A transaction that others disturb is repeated; an aborted one leaves nothing.
pub async fn transactions() {
    let store = store();
    store.write("data/n", "1").await.expect("a write");
    let mut attempts = 0;
    let old = store
        .transaction(async |tx| {
            let n: u32 = tx.read_parsed("data/n").await?;
            attempts += 1;
            if attempts == 1 {
                // Outside the transaction: what was read is no longer true.
                store.write("data/n", "10").await?;
            }
            tx.write("data/n", (n + 1).to_string()).await?;
            Ok(n)
        })
        .await;
    assert_eq!((old, attempts), (Ok(10), 2));
    assert_eq!(store.read_text("data/n").await.as_deref(), Ok("11"));

    let aborted = store.begin().await.expect("a transaction");
    aborted.write("data/n", "99").await.expect("a write");
    drop(aborted);
    assert_eq!(store.read_text("data/n").await.as_deref(), Ok("11"));
    store.rm("data/n").await.expect("a removal");
}

/// Watches fire at once and on changes below, and no more when they are dropped.
pub async fn watches() {
    let store = store();
    let mut watch = store.watch("data/w").await.expect("a watch");
    assert_eq!(watch.next().await.as_deref(), Ok("data/w"));
    store.write("data/w/x", "1").await.expect("a write");
    assert_eq!(watch.next().await.as_deref(), Ok("data/w/x"));
    store.rm("data/w").await.expect("a removal");
    assert_eq!(watch.next().await.as_deref(), Ok("data/w"));
    drop(watch);
    let mut special = store.watch("@releaseDomain").await;
    match &mut special {
        // Whether a domU may have this one depends on the daemon.
        Ok(watch) => drop(watch.next().await),
        Err(error) => assert!(matches!(error, Error::Denied | Error::Invalid), "{error}"),
    }
}

/// Many requests at once, from many tasks, and how long one takes alone.
pub async fn many() {
    let tasks: Vec<_> = (0..50)
        .map(|i| {
            mirust::spawn(async move {
                let store = store();
                let (path, value) = (format!("data/many/{i}"), i.to_string());
                store.write(&path, &value).await?;
                let read = store.read_text(&path).await?;
                Ok::<bool, Error>(read == value)
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic"), Ok(true));
    }
    let store = store();
    store.rm("data/many").await.expect("a removal");
    let start = now();
    for _ in 0..100 {
        store.read("domid").await.expect("a read");
    }
    println!("a xenstore read takes {:?}", now().duration_since(start) / 100);
    assert_eq!(store.oddities(), 0);
}

/// The daemon resets the ring when it is asked to, and the watches come back; unless it cannot.
pub async fn reset() {
    let store = store();
    let mut watch = store.watch("data/r").await.expect("a watch");
    assert_eq!(watch.next().await.as_deref(), Ok("data/r"));
    if let Err(error) = store.reset() {
        assert_eq!(error, Error::Unavailable);
        println!("this xenstored cannot reset a ring");
        store.read("domid").await.expect("the connection is as it was");
        return;
    }
    assert_eq!(watch.next().await, Err(Error::Broken));
    // Registered again by the client: the first event comes again.
    assert_eq!(watch.next().await.as_deref(), Ok("data/r"));
    store.write("data/r", "1").await.expect("a write");
    assert_eq!(watch.next().await.as_deref(), Ok("data/r"));
    assert_eq!(store.read_text("data/r").await.as_deref(), Ok("1"));
    store.rm("data/r").await.expect("a removal");
}
