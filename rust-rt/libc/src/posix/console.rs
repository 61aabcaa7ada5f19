//! Descriptors 0, 1 and 2: the console.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::task::{Context, Poll};

use super::events::Events;
use super::local::local;
use super::object::Object;
use super::parts::{Errno, Part, PartMut, Result, room, scatter};
use super::watch::Watchers;
use crate::errno::EAGAIN;
use crate::layout::Stat;
use crate::{host, stdio};

/// Takes a line of input without its end, if there is one; else the waker is called when there may be.
pub type ReadLine = fn(&mut Context<'_>) -> Poll<Vec<u8>>;

local! {
    static INPUT: Cell<Option<ReadLine>> = Cell::new(None);
}

/// Gives standard input; without it that is at its end.
pub fn give_input(read_line: ReadLine) {
    INPUT.with(|input| input.set(Some(read_line)));
}

/// Input and output. All three descriptors are the same, as they are on a terminal.
struct Console {
    /// What was typed and not read.
    rest: RefCell<Vec<u8>>,
    watchers: Watchers,
}

/// What 0, 1 and 2 are.
pub(super) fn descriptions() -> [Rc<dyn Object>; 3] {
    let console = Rc::new(Console { rest: RefCell::default(), watchers: Watchers::new() });
    [Rc::clone(&console) as _, Rc::clone(&console) as _, console as _]
}

impl Console {
    /// Whether there is something to read, or the end.
    fn fill(&self) -> bool {
        if !self.rest.borrow().is_empty() {
            return true;
        }
        let Some(read_line) = INPUT.with(Cell::get) else { return true };
        let waker = self.watchers.waker(Events::IN);
        match read_line(&mut Context::from_waker(&waker)) {
            Poll::Pending => false,
            Poll::Ready(mut line) => {
                line.push(b'\n');
                *self.rest.borrow_mut() = line;
                true
            }
        }
    }
}

impl Object for Console {
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn poll(&self, interest: Events) -> Events {
        let input = interest.intersects(Events::IN) && self.fill();
        (Events::OUT | Events::IN.when(input)) & interest
    }

    fn read(&self, parts: &mut [PartMut]) -> Result<usize> {
        if room(parts) == 0 {
            return Ok(0);
        }
        if !self.fill() {
            return Err(Errno(EAGAIN));
        }
        let mut rest = self.rest.borrow_mut();
        let n = scatter(&rest, parts);
        rest.drain(..n);
        Ok(n)
    }

    /// Writes what C's streams still hold first.
    fn write(&self, parts: &[Part]) -> Result<usize> {
        stdio::flush_console();
        let mut n = 0;
        for part in parts.iter().filter(|part| !part.is_empty()) {
            (host::get().console_write)(part);
            n += part.len();
        }
        Ok(n)
    }

    /// A pipe rather than a terminal, so that programs do not send it colours.
    fn stat(&self) -> Stat {
        Stat::fifo()
    }
}

#[cfg(test)]
mod tests {
    use super::super::block_tests as testing;
    use super::super::{io, table};
    use super::*;
    use alloc::vec;

    #[test]
    fn input_is_at_its_end_until_somebody_gives_it() {
        let mut buf = [0; 4];
        assert_eq!(io::read_into(0, &mut buf), Ok(0));
        std::thread_local! {
            static LINES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
        }
        give_input(|_| LINES.with_borrow_mut(Vec::pop).map_or(Poll::Pending, Poll::Ready));
        testing::give_busy();
        testing::meanwhile(|| LINES.set(vec![b"word".to_vec()]));
        assert_eq!((io::read_into(0, &mut buf), &buf), (Ok(4), b"word"));
        assert_eq!((io::read_into(0, &mut buf), buf[0]), (Ok(1), b'\n'));
        table::get(0).unwrap().set_flags(table::O_NONBLOCK);
        assert_eq!(io::read_into(0, &mut buf), Err(Errno(EAGAIN)));
    }
}
