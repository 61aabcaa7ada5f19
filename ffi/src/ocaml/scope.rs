//! What a call from OCaml borrows.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::runtime::{self, OCamlRuntime};

/// A stretch of memory that a call borrows.
#[derive(Clone, Copy)]
pub(super) struct Span {
    start: usize,
    length: usize,
    exclusive: bool,
}

impl Span {
    #[inline]
    pub(super) fn new((start, length): (*mut u8, usize), exclusive: bool) -> Self {
        Span { start: start as usize, length, exclusive }
    }

    /// Whether both share a byte that one of them may write.
    #[inline]
    pub(super) fn conflicts(self, other: Span) -> bool {
        let overlap =
            self.start < other.start + other.length && other.start < self.start + self.length;
        overlap && (self.exclusive || other.exclusive)
    }

    /// Whether somebody may write there.
    pub(super) fn is_written(self) -> bool {
        self.exclusive
    }
}

/// Borrows that a call keeps track of without allocating.
const MAX_BORROWS: usize = 8;

const BORROWED_TWICE: &str = "a buffer is borrowed twice, once for writing";

/// One call from OCaml: what its arguments borrow lives as long as this.
#[doc(hidden)]
pub struct Scope {
    /// The first `borrowed` are initialised. Most calls borrow nothing, and pay for nothing here.
    borrows: [Cell<MaybeUninit<Span>>; MAX_BORROWS],
    borrowed: Cell<usize>,
    /// Those for which there is no place: of a list, most likely.
    more: Cell<Option<Box<More>>>,
    _this_thread: PhantomData<*const ()>,
}

/// Borrows beyond the first. What is read need not be compared with what else is read, and there can be
/// very many of these.
#[derive(Default)]
struct More {
    read: Vec<Span>,
    written: Vec<Span>,
}

impl More {
    fn borrow(&mut self, span: Span) {
        let clash = |other: &Span| span.conflicts(*other);
        let clash =
            self.written.iter().any(clash) || span.is_written() && self.read.iter().any(clash);
        assert!(!clash, "{BORROWED_TWICE}");
        if span.is_written() { &mut self.written } else { &mut self.read }.push(span);
    }
}

impl Scope {
    #[inline]
    pub(super) fn new() -> Self {
        Scope {
            borrows: [const { Cell::new(MaybeUninit::uninit()) }; MAX_BORROWS],
            borrowed: Cell::new(0),
            more: Cell::new(None),
            _this_thread: PhantomData,
        }
    }

    /// Notes that the call borrows `span`, and panics where that would alias a mutable borrow: the
    /// same OCaml buffer can be passed twice.
    #[inline]
    pub(super) fn borrow(&self, span: Span) {
        let n = self.borrowed.get();
        let clash = self.borrows[..n].iter().any(|other| {
            // SAFETY: one of the first `borrowed`.
            span.conflicts(unsafe { other.get().assume_init() })
        });
        assert!(!clash, "{BORROWED_TWICE}");
        if n == MAX_BORROWS {
            return self.borrow_more(span);
        }
        self.borrows[n].set(MaybeUninit::new(span));
        self.borrowed.set(n + 1);
    }

    #[cold]
    fn borrow_more(&self, span: Span) {
        let mut more = self.more.take().unwrap_or_default();
        more.borrow(span);
        self.more.set(Some(more));
    }

    /// The runtime, for a function whose arguments are all rooted.
    ///
    /// # Safety
    ///
    /// To be called at most once for a scope, by code that OCaml called.
    #[inline]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn runtime(&self) -> &mut OCamlRuntime {
        // SAFETY: OCaml called us, so it runs in this thread; the caller asks once.
        unsafe { runtime::handle() }
    }
}
