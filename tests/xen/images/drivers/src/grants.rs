//! Grants from this domain to itself.

use mirust_rt::{
    wire::{
        DomId, GrantRef, Port,
        xenstore::{Access, Perm},
    },
    xen::{self, gnttab::Granted, hypervisor::GrantAccess, xenstore::Xenstore},
};

/// This domain by its number: a grant names whom it is for, and `DOMID_SELF` is nobody there.
fn me() -> DomId {
    let domid = mirust_rt::xen::store().expect("there is a xenstore");
    let text = mirust::block_on(async move { domid.read_text("domid").await });
    DomId(text.expect("a domain can read its number").parse().expect("a number"))
}

fn share(access: GrantAccess) -> Granted {
    xen::grants().expect("there is a Xen").share(me(), access).expect("a grant")
}

/// Xen copies from and to a granted page, within the access that was granted.
pub fn copy() {
    let table = xen::grants().expect("there is a Xen");
    let granted = share(GrantAccess::ReadWrite);
    granted.write(100, b"from the grant");
    let mut out = [0; 14];
    table.copy_from(me(), granted.gref(), 100, &mut out).expect("a copy");
    assert_eq!(&out, b"from the grant");
    table.copy_to(me(), granted.gref(), 4090, b"to end").expect("a copy");
    granted.read(4090, &mut out[..6]);
    assert_eq!(&out[..6], b"to end");
    let page = granted.end().expect("nobody has it mapped");
    assert_eq!(&page[4090..], b"to end");

    let readonly = share(GrantAccess::ReadOnly);
    table.copy_to(me(), readonly.gref(), 0, b"x").expect_err("a read-only grant");
    let gref = readonly.gref();
    drop(readonly);
    table.copy_from(me(), gref, 0, &mut out).expect_err("an ended grant");
}

/// The domain that the toolstack has named in `data/peer`.
async fn peer(store: &Xenstore) -> DomId {
    let mut watch = store.watch("data/peer").await.expect("a watch");
    loop {
        if let Ok(domid) = store.read_parsed("data/peer").await {
            return DomId(domid);
        }
        watch.next().await.expect("an event");
    }
}

/// Lends a page to the peer, and takes it back when the peer has done with it.
pub async fn lend() {
    let store = xen::store().expect("there is a xenstore");
    let peer = peer(&store).await;
    let table = xen::grants().expect("there is a Xen");
    let granted = table.share(peer, GrantAccess::ReadWrite).expect("a grant");
    let events = xen::events().expect("there is a Xen");
    let channel = events.alloc_unbound(peer).expect("a port");
    granted.write(0, b"lent");
    let mut seen = channel.count();
    for (node, value) in [("gref", granted.gref().0), ("port", channel.port().0)] {
        let node = format!("data/{node}");
        store.write(&node, value.to_string()).await.expect("a write");
        let perms = [
            Perm { domid: me(), access: Access::None },
            Perm { domid: peer, access: Access::Read },
        ];
        store.set_perms(&node, &perms).await.expect("our own node");
    }
    // The peer tells when it has mapped the page and written to it, and when it has let go.
    let mut answer = [0; 8];
    while &answer != b"borrowed" {
        seen = channel.wait(seen).await;
        granted.read(0, &mut answer);
    }
    let granted = granted.end().expect_err("the peer has it mapped");
    granted.store_u8(101, 1);
    channel.notify();
    while granted.load_u8(100) == 0 {
        seen = channel.wait(seen).await;
    }
    // The byte was written before the page was unmapped, and the event comes after it.
    let mut granted = Some(granted);
    while let Some(still) = granted {
        granted = still.end().err();
        if granted.is_some() {
            seen = channel.wait(seen).await;
        }
    }
    assert_eq!(table.stats().leaked, 0);
    println!("lent and given back");
}

/// Maps the page that the peer lends.
pub async fn borrow() {
    let store = xen::store().expect("there is a xenstore");
    let peer = peer(&store).await;
    let path = store.domain_path(peer).await.expect("a path");
    let mut watch = store.watch("data/go").await.expect("a watch");
    let (gref, port) = loop {
        watch.next().await.expect("an event");
        let gref = store.read_parsed(&format!("{path}/data/gref")).await;
        let port = store.read_parsed(&format!("{path}/data/port")).await;
        if let (Ok(gref), Ok(port)) = (gref, port) {
            break (GrantRef(gref), Port(port));
        }
    };
    let events = xen::events().expect("there is a Xen");
    let channel = events.bind_interdomain(peer, port).expect("the peer's port");
    let table = xen::grants().expect("there is a Xen");
    table.map(peer, GrantRef(gref.0 + 1), GrantAccess::ReadOnly).expect_err("nothing is granted");
    // Holes are used again.
    for _ in 0..3 {
        let mapped = table.map(peer, gref, GrantAccess::ReadOnly).expect("a mapping");
        let mut text = [0; 4];
        mapped.read(0, &mut text);
        assert_eq!(&text, b"lent");
    }
    let mapped = table.map(peer, gref, GrantAccess::ReadWrite).expect("a mapping");
    mapped.write(0, b"borrowed");
    let mut seen = channel.count();
    channel.notify();
    while mapped.load_u8(101) == 0 {
        seen = channel.wait(seen).await;
    }
    mapped.store_u8(100, 1);
    drop(mapped);
    channel.notify();
    println!("borrowed and returned");
}

/// The table grows by frames, and every entry works.
pub fn growth() {
    let table = xen::grants().expect("there is a Xen");
    let before = table.stats();
    let me = me();
    let all: Vec<Granted> = (0..1500u32)
        .map(|i| {
            let granted = table.share(me, GrantAccess::ReadOnly).expect("a grant");
            granted.store_u32(0, i);
            granted
        })
        .collect();
    assert!(table.stats().entries >= 1500);
    for (i, granted) in all.iter().enumerate().step_by(100) {
        let mut word = [0; 4];
        table.copy_from(me, granted.gref(), 0, &mut word).expect("a copy");
        assert_eq!(u32::from_le_bytes(word), i as u32);
    }
    drop(all);
    assert_eq!(table.stats().used, before.used);
}
