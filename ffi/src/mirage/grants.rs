//! Pages that this domain grants by Mirage's own choice of numbers, and pages of others that it maps.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Once;

use mirust_rt::mem::PAGE_SIZE;
use mirust_rt::wire::{DomId, GrantRef};
use mirust_rt::xen;
use mirust_rt::xen::gntmap::MappedRun;
use mirust_rt::xen::gnttab::{GrantError, GrantTable};
use mirust_rt::xen::hypervisor::GrantAccess;
use ocaml_sys::bigarray::Bigarray;

use super::{Failed, NO_XEN, UNIT, Value, bool, enter, int, lifecycle, number, of_int};
use crate::ocaml::Slots;
use crate::ocaml::net::{external_bigarray, pair};

/// Entries of the grant table that Mirage may have: as many as mirage-xen's own table has.
const ENTRIES: usize = 2048;

thread_local! {
    /// What was lent, from the first time on that Mirage asks.
    static LENT: RefCell<Option<Range<u32>>> = const { RefCell::new(None) };
    /// What is mapped, by the handles that Mirage has.
    static MAPPED: RefCell<Slots<MappedRun>> = const { RefCell::new(Slots::new()) };
}

impl From<GrantError> for Failed {
    fn from(error: GrantError) -> Failed {
        match error {
            GrantError::OutOfMemory => Failed::OutOfMemory,
            error => Failed::because(error),
        }
    }
}

fn table() -> Result<&'static GrantTable, Failed> {
    xen::grants().ok_or(NO_XEN)
}

/// Pages that are granted.
fn count() -> usize {
    xen::grants().map_or(0, GrantTable::lent_in_use)
}

/// The numbers that Mirage gives out. Empty without Xen: a program that grants nothing works.
fn lent() -> Result<Range<u32>, Failed> {
    LENT.with_borrow_mut(|lent| match (&*lent, xen::grants()) {
        (Some(lent), _) => Ok(lent.clone()),
        (None, None) => Ok(0..0),
        (None, Some(table)) => Ok(lent.insert(table.lend(ENTRIES)?).clone()),
    })
}

fn access(v_writable: Value) -> GrantAccess {
    if bool(v_writable) { GrantAccess::ReadWrite } else { GrantAccess::ReadOnly }
}

/// Maps grants, and gives OCaml a pair of a handle and the pages.
///
/// # Safety
///
/// The caller may allocate on the OCaml heap.
unsafe fn map(grants: &[(DomId, GrantRef)], access: GrantAccess) -> Result<Value, Failed> {
    let run = table()?.map_run(grants, access)?;
    let (base, len) = (run.addr(), run.len());
    let handle = MAPPED.with_borrow_mut(|mapped| mapped.insert(run));
    let base = std::ptr::NonNull::new(std::ptr::with_exposed_provenance_mut(base));
    // SAFETY: the addresses stay mapped or a hole for ever, and are of no use to anybody else but a later
    // mapping; that Mirage lets go of the pages before it unmaps them is its side of the contract.
    Ok(unsafe { pair(handle, external_bigarray(base.expect("a mapped page"), len)) })
}

/// `external map_exn : unit -> gref -> domid -> bool -> grant_handle * Io_page.t`: a domain's page,
/// writable or not.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_gnttab_map(
    _: Value,
    v_gref: Value,
    v_domid: Value,
    v_writable: Value,
) -> Value {
    // SAFETY: OCaml calls; the frame has nothing to drop.
    unsafe {
        enter(|| {
            let gref = GrantRef(number(v_gref, "map: not a grant")?);
            let domid = DomId(number(v_domid, "map: not a domain")?);
            map(&[(domid, gref)], access(v_writable))
        })
    }
}

/// `external mapv_exn : unit -> int array -> bool -> grant_handle * Io_page.t`: pages one behind the other.
/// The array has a domain and a grant for each.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_gnttab_mapv(
    _: Value,
    v_grants: Value,
    v_writable: Value,
) -> Value {
    // SAFETY: OCaml calls, with an array of ints, which is read before anything is allocated; the frame
    // has nothing to drop.
    unsafe {
        enter(|| {
            let fields = ocaml_sys::wosize_val(v_grants);
            let field = |i| *ocaml_sys::field(v_grants, i);
            let grant = |i| -> Result<(DomId, GrantRef), Failed> {
                let domid = number(field(2 * i), "mapv: not a domain")?;
                Ok((DomId(domid), GrantRef(number(field(2 * i + 1), "mapv: not a grant")?)))
            };
            let grants = (0..fields / 2).map(grant).collect::<Result<Vec<_>, _>>()?;
            if grants.is_empty() {
                return Err(Failed::because("mapv: no grants"));
            }
            map(&grants, access(v_writable))
        })
    }
}

/// `external unmap_exn : unit -> grant_handle -> unit`: the pages are not to be touched any more.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_gnttab_unmap(_: Value, v_handle: Value) -> Value {
    // SAFETY: OCaml calls; the frame has nothing to drop.
    unsafe {
        enter(|| {
            let run = MAPPED.with_borrow_mut(|mapped| mapped.remove(int(v_handle)));
            match run {
                Some(run) => {
                    drop(run);
                    Ok(UNIT)
                }
                None => Err(Failed::because("unmap: nothing is mapped under this handle")),
            }
        })
    }
}

/// `external nr_reserved : unit -> int`: the first number that Mirage may give out.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_gnttab_get_nr_reserved(_: Value) -> Value {
    // SAFETY: OCaml calls; the frame has nothing to drop.
    unsafe { enter(|| Ok(of_int(lent()?.start as isize))) }
}

/// `external nr_entries : unit -> int`: the numbers that Mirage may give out are below this one.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_gnttab_get_nr_entries(_: Value) -> Value {
    // SAFETY: OCaml calls; the frame has nothing to drop.
    unsafe { enter(|| Ok(of_int(lent()?.end as isize))) }
}

/// `external grant_access : gref -> Io_page.t -> domid -> bool -> unit`: lets a domain read the page, or
/// write it as well. Mirage keeps the page alive until `try_end_access` is true.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_gnttab_grant_access(
    v_gref: Value,
    v_page: Value,
    v_domid: Value,
    v_writable: Value,
) -> Value {
    // SAFETY: OCaml calls, with a bigarray for the page; the frame has nothing to drop.
    unsafe {
        enter(|| {
            let gref = GrantRef(number(v_gref, "grant_access: not a grant")?);
            let domid = DomId(number(v_domid, "grant_access: not a domain")?);
            let addr = (*ocaml_sys::field(v_page, 1).cast::<Bigarray>()).data as usize;
            if addr % PAGE_SIZE != 0 {
                return Err(Failed::because("grant_access: the page is not aligned"));
            }
            // The memory is malloc's or a page of ours, and stays: Mirage's promise above.
            table()?.grant_lent(gref, addr, domid, access(v_writable))?;
            static ONCE: Once = Once::new();
            lifecycle::watch(&ONCE, "grants", count);
            Ok(UNIT)
        })
    }
}

/// `external try_end_access : gref -> bool`: ends a domain's access; false while it has the page mapped.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn mirage_xen_gnttab_end_access(v_gref: Value) -> Value {
    // SAFETY: OCaml calls; the frame has nothing to drop.
    unsafe {
        enter(|| {
            let gref = GrantRef(number(v_gref, "end_access: not a grant")?);
            Ok(of_int(table()?.end_lent(gref).is_ok().into()))
        })
    }
}
