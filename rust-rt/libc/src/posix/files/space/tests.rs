use core::mem::offset_of;

use host_libc as host;

use super::super::super::io;
use super::super::archive_tests::put;
use super::super::calls::open64;
use super::super::mount;
use super::*;
use crate::errno::{self, EBADF, ENOTDIR};

#[test]
fn layouts_are_the_hosts() {
    assert_eq!(i64::from(TYPES[0]), host::TMPFS_MAGIC);
    assert_eq!(ST_RDONLY, host::ST_RDONLY);
    assert_eq!(size_of::<FileSystem>(), size_of::<host::statvfs>());
    assert_eq!(size_of::<LinuxFileSystem>(), size_of::<host::statfs>());
    for (ours, theirs) in [
        (offset_of!(FileSystem, fragment), offset_of!(host::statvfs, f_frsize)),
        (offset_of!(FileSystem, free), offset_of!(host::statvfs, f_bfree)),
        (offset_of!(FileSystem, files), offset_of!(host::statvfs, f_files)),
        (offset_of!(FileSystem, flags), offset_of!(host::statvfs, f_flag)),
        (offset_of!(FileSystem, name), offset_of!(host::statvfs, f_namemax)),
        (offset_of!(LinuxFileSystem, blocks), offset_of!(host::statfs, f_blocks)),
        (offset_of!(LinuxFileSystem, free), offset_of!(host::statfs, f_bfree)),
        (offset_of!(LinuxFileSystem, free_files), offset_of!(host::statfs, f_ffree)),
        (offset_of!(LinuxFileSystem, name), offset_of!(host::statfs, f_namelen)),
        (offset_of!(LinuxFileSystem, fragment), offset_of!(host::statfs, f_frsize)),
    ] {
        assert_eq!(ours, theirs);
    }
}

#[test]
fn what_is_written_leaves_less_room_and_what_is_read_has_none() {
    let mut archive = alloc::vec::Vec::new();
    put(&mut archive, "data/a", 0o100_644, 1, b"0123456789");
    mount(archive.leak());
    let (mut space, mut linux) = (FileSystem::default(), LinuxFileSystem::default());
    // SAFETY: C strings and what is writable, here and below.
    unsafe {
        assert_eq!(statvfs(c"/tmp".as_ptr(), &raw mut space), 0);
        let pages = (share(For::Files) / PAGE_SIZE) as u64;
        assert_eq!((space.blocks, space.block), (pages, PAGE_SIZE as u64));
        let before = space.free[0];
        assert!(before <= pages && space.flags & ST_RDONLY == 0);
        let fd = open64(c"/tmp/space".as_ptr(), 0o102, 0o644);
        let bytes = [1u8; 3 * PAGE_SIZE];
        assert_eq!(io::write(fd, bytes.as_ptr().cast(), bytes.len()), bytes.len() as isize);
        assert_eq!(fstatvfs(fd, &raw mut space), 0);
        // The pages, and what the file itself takes.
        assert!((before - 4..=before - 3).contains(&space.free[1]), "{before} {space:?}");
        assert_eq!((io::close(fd), fstatfs(fd, &raw mut linux), errno::get()), (0, -1, EBADF));
        assert_eq!(statfs(c"/data/a".as_ptr(), &raw mut linux), 0);
        assert_eq!((linux.blocks, linux.free, linux.free_files), (0, [0; 2], 0));
        assert_ne!(linux.flags & ST_RDONLY, 0);
        for (path, error) in [(c"/none", ENOENT), (c"/data/a/b", ENOTDIR), (c"", ENOENT)] {
            assert_eq!((statfs64(path.as_ptr(), &raw mut linux), errno::get()), (-1, error));
        }
        assert_eq!((statvfs64(core::ptr::null(), &raw mut space), errno::get()), (-1, EFAULT));
        assert_eq!(statvfs64(c"/tmp".as_ptr(), core::ptr::null_mut()), -1);
    }
}
