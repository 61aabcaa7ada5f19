//! Grants from this domain to itself.

use mirust_rt::{
    wire::DomId,
    xen::{self, gnttab::Granted, hypervisor::GrantAccess},
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

/// A mapped page is the same memory, and its grant cannot be ended meanwhile.
pub fn map() {
    let table = xen::grants().expect("there is a Xen");
    for _ in 0..3 {
        let granted = share(GrantAccess::ReadWrite);
        let mapped = table.map(me(), granted.gref(), GrantAccess::ReadWrite).expect("a mapping");
        granted.store_u32(8, 0x1234_5678);
        assert_eq!(mapped.load_u32(8), 0x1234_5678);
        mapped.store_u32(8, 5);
        let granted = granted.end().expect_err("it is mapped");
        drop(mapped);
        let page = granted.end().expect("it is not mapped any more");
        assert_eq!(page[8], 5);
    }
    table.map(me(), mirust_rt::wire::GrantRef(500), GrantAccess::ReadOnly).expect_err("no grant");
    assert_eq!(table.stats().leaked, 0);
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
