//! Images that lie, for tests and for a fuzzer.

use super::{Error, Image, Inode, Kind, Source};
use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// A small image: files, a file among its inode's bytes and one in blocks, links, a link to itself, a directory of
/// three blocks. `tests/small.sh` makes it.
pub const SMALL: &[u8] = include_bytes!("../tests/small.erofs");

/// Runs a future that never has to wait, as those over memory.
///
/// # Panics
///
/// If it does.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}

/// What a walk may take: a hostile image may have a directory that is its own grandchild.
struct Budget {
    /// Names.
    names: usize,
    /// Bytes of files.
    bytes: usize,
}

/// Looks at everything in an image as a program would, which may get it errors, and no more than that.
///
/// # Panics
///
/// If an answer contradicts another one.
pub fn walk(image: &[u8]) {
    let Ok(image) = at_once(Image::open(image)) else { return };
    at_once(async {
        let Ok(root) = image.root().await else { return };
        let mut budget = Budget { names: 400, bytes: 1 << 20 };
        let mut left: Vec<(Inode, usize)> = [(root, 0)].into();
        while let Some((directory, depth)) = left.pop() {
            let Ok(entries) = image.list(&directory).await else { continue };
            for entry in entries {
                if budget.names == 0 {
                    return;
                }
                budget.names -= 1;
                let _ = image.lookup(&directory, &entry.name).await;
                let Ok(inode) = image.inode(entry.number).await else { continue };
                match inode.kind() {
                    Kind::Directory if depth < 8 => left.push((inode, depth + 1)),
                    Kind::Link => _ = image.target(&inode).await,
                    _ => read(&image, &inode, &mut budget).await,
                }
            }
        }
        for path in ["hello.txt", "sub/up", "abs", "loop", "sub/deeper/number-25", "sub/../x/y"] {
            let _ = image.find(path.as_bytes(), true).await;
        }
    });
}

/// Reads a file in two ways, which say the same.
async fn read<S: Source>(image: &Image<S>, file: &Inode, budget: &mut Budget) {
    let n = file.size.min(budget.bytes as u64 / 8) as usize;
    budget.bytes -= n;
    let mut whole = alloc::vec![0; n];
    let got = image.read_at(file, 0, &mut whole).await;
    let mut byte = [0];
    for at in [0, n / 2, n.saturating_sub(1)] {
        match (got, image.read_at(file, at as u64, &mut byte).await) {
            (Ok(got), Ok(one)) if at < got => assert_eq!((one, byte[0]), (1, whole[at])),
            (Ok(got), Err(error)) if at < got => panic!("read, and then {error:?}"),
            _ => {}
        }
    }
    assert!(file.kind() == Kind::File || matches!(got, Err(Error::IsDirectory | Error::WrongKind)));
    // Behind the end there is nothing.
    if got.is_ok() {
        assert_eq!(image.read_at(file, file.size, &mut byte).await, Ok(0));
        assert_eq!(image.read_at(file, u64::MAX, &mut byte).await, Ok(0));
    }
}
