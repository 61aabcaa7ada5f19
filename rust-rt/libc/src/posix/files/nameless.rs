//! Files without a name: `memfd_create`, and the seals that are put on them.

use alloc::rc::Rc;
use core::ffi::{CStr, c_char, c_int, c_uint};

use super::super::answer::number;
use super::super::memory::{For, Reserved};
use super::super::object::downcast;
use super::super::parts::{Errno, Result};
use super::super::table::{self, O_CLOEXEC, O_RDWR};
use super::File;
use super::contents::Contents;
use super::node::{Kind, Node, REGULAR};
use super::place::Place;
use super::seals;
use super::temporary::{self, NODE_COST};
use crate::errno::{EFAULT, EINVAL, EPERM};

pub(in super::super) const MFD_CLOEXEC: c_uint = 1;
const MFD_ALLOW_SEALING: c_uint = 2;
const MFD_NOEXEC_SEAL: c_uint = 8;
const MFD_EXEC: c_uint = 16;
/// Bytes of a name, which is for people who look at a process.
const LONGEST: usize = 249;

/// A file in memory, open for reading and writing, which is gone when nobody has it open or mapped.
///
/// # Safety
///
/// The name is NULL or a C string.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(in super::super) unsafe extern "C" fn memfd_create(
    name: *const c_char,
    flags: c_uint,
) -> c_int {
    if name.is_null() {
        return number(Err(Errno(EFAULT)));
    }
    // SAFETY: as the caller says.
    let length = unsafe { CStr::from_ptr(name) }.count_bytes();
    number(create(length, flags))
}

pub(in super::super) fn create(length: usize, flags: c_uint) -> Result<c_int> {
    const KNOWN: c_uint = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
    const BOTH: c_uint = MFD_NOEXEC_SEAL | MFD_EXEC;
    if flags & !KNOWN != 0 || flags & BOTH == BOTH || length > LONGEST {
        return Err(Errno(EINVAL));
    }
    table::check_room()?;
    super::let_files_be_mapped();
    let (mode, seals) = match flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL) {
        0 => (0o777, seals::SEAL),
        MFD_ALLOW_SEALING => (0o777, 0),
        _ => (0o666, seals::EXEC),
    };
    let space = Reserved::new(For::Files);
    space.set(NODE_COST)?;
    let contents = Contents::new();
    contents.seals.set(seals);
    let kind = Kind::Written(contents);
    let node = Node::temporary(REGULAR | mode, temporary::now(), kind, space);
    node.links.set(0);
    let kept = if flags & MFD_CLOEXEC != 0 { O_RDWR | O_CLOEXEC } else { O_RDWR };
    table::insert(File::new(node, Place::new(), kept), kept)
}

/// The seals of an open file, for `fcntl`, with those added that it is asked to add.
///
/// # Errors
///
/// EINVAL for a seal that there is not, and for what is not a file that the program writes; EPERM if it may not be
/// written, or takes no more seals; EBUSY if it is mapped and is not to be written any more.
pub(in super::super) fn seal(fd: c_int, more: Option<c_int>) -> Result<c_int> {
    let description = table::get(fd)?;
    let refused = match more {
        Some(_) if !description.may_write() => Some(EPERM),
        Some(more) if more & !c_int::from(seals::ALL) != 0 => Some(EINVAL),
        _ => None,
    };
    if let Some(error) = refused {
        return Err(Errno(error));
    }
    let file: Rc<File> = downcast(&description.object).ok_or(Errno(EINVAL))?;
    let Kind::Written(contents) = &file.node.kind else { return Err(Errno(EINVAL)) };
    match more {
        Some(more) => contents.seal(more as u8).map(|()| 0),
        None => Ok(contents.seals.get().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::host_tests::{C, either, same};
    use super::super::super::io;
    use super::super::changes;
    use super::*;
    use crate::errno;
    use alloc::vec;
    use alloc::vec::Vec;

    const F_ADD_SEALS: c_int = 1033;
    const F_GET_SEALS: c_int = 1034;

    impl C {
        fn memfd(&self, name: &CStr, flags: c_uint) -> c_int {
            let name = name.as_ptr();
            either!(self, memfd_create(name, flags), host_libc::memfd_create(name, flags)) as c_int
        }

        fn set_len(&self, fd: c_int, len: i64) -> i64 {
            either!(self, changes::ftruncate64(fd, len), host_libc::ftruncate64(fd, len))
        }

        fn seals(&self, fd: c_int) -> i64 {
            self.fcntl(fd, F_GET_SEALS, 0)
        }
    }

    #[test]
    fn a_file_without_a_name_is_one_like_others() {
        same(|c| {
            let fd = c.memfd(c"name", MFD_CLOEXEC);
            let mut log = vec![c.write(fd, b"some text"), c.fcntl(fd, 1, 0), c.seals(fd)];
            log.extend([c.fcntl(fd, F_ADD_SEALS, 4), c.set_len(fd, 4), c.set_len(fd, -1)]);
            let mut bytes = [0; 8];
            log.push(either!(
                c,
                io::pread64(fd, bytes.as_mut_ptr().cast(), 8, 0),
                host_libc::pread64(fd, bytes.as_mut_ptr().cast(), 8, 0)
            ));
            c.close(fd);
            (log, bytes)
        });
    }

    #[test]
    fn seals_are_kept_as_by_the_kernel() {
        let all = [seals::SHRINK, seals::GROW, seals::WRITE, seals::FUTURE_WRITE, seals::SEAL, 0];
        for seal in all {
            same(|c| {
                let fd = c.memfd(c"name", MFD_ALLOW_SEALING);
                let mut log: Vec<i64> = vec![c.write(fd, b"12345678")];
                log.extend([c.fcntl(fd, F_ADD_SEALS, seal.into()), c.seals(fd)]);
                log.extend([c.set_len(fd, 9), c.set_len(fd, 5), c.set_len(fd, 5)]);
                log.extend([c.write(fd, b"9"), c.fcntl(fd, F_ADD_SEALS, 1), c.seals(fd)]);
                log.extend([c.fcntl(fd, F_ADD_SEALS, 2), c.fcntl(fd, F_ADD_SEALS, 256)]);
                c.close(fd);
                log
            });
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let long = alloc::ffi::CString::new(vec![b'x'; LONGEST + 1]).unwrap();
        for flags in [32, 8 | 16] {
            same(|c| c.memfd(c"name", flags));
        }
        same(|c| c.memfd(&long, 0));
        same(|c| {
            let ends = c.pipe(0);
            ends.map(|fd| [c.seals(fd), c.fcntl(fd, F_ADD_SEALS, 1), c.close(fd)])
        });
        // SAFETY: NULL is allowed.
        assert_eq!((unsafe { memfd_create(core::ptr::null(), 0) }, errno::get()), (-1, EFAULT));
    }

    #[test]
    fn it_takes_memory_until_it_is_closed() {
        use super::super::super::memory::used;
        let before = used(For::Files);
        let fd = create(0, 0).unwrap();
        io::write_from(fd, &[1; 5000]).unwrap();
        assert!(used(For::Files) >= before + 8192 + NODE_COST);
        table::close(fd).unwrap();
        assert_eq!(used(For::Files), before);
    }
}
