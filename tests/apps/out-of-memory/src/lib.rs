//! Uses up the memory, and says how that went.

use std::cell::RefCell;

use mirust::ocaml::{BoxRoot, Closure, OCamlBigarray, OCamlBytes, ToOCaml, with_runtime};

const BLOCK: usize = 1 << 20;
/// What does not fit when one block is left, or nearly two.
const LARGE: usize = 4 * BLOCK;

thread_local! {
    static HELD: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static LARGE_ONE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A block, and every page of it.
fn block() -> Option<Vec<u8>> {
    let mut block = Vec::new();
    block.try_reserve_exact(BLOCK).ok()?;
    block.resize(BLOCK, 1);
    Some(block)
}

/// Takes all memory except one block, for code that needs a little. Returns the number of blocks.
#[mirust::export]
fn hold(_: ()) -> isize {
    HELD.with_borrow_mut(|held| {
        held.extend(std::iter::from_fn(block));
        held.pop();
        held.len() as isize
    })
}

#[mirust::export]
fn release(_: ()) {
    HELD.take();
}

/// Makes what is to be given away later.
#[mirust::export]
fn prepare(_: ()) {
    LARGE_ONE.set(vec![7; LARGE]);
}

/// OCaml gets a copy, if it has the memory.
#[mirust::export]
fn give(_: ()) -> Vec<u8> {
    LARGE_ONE.take()
}

/// The same later.
#[mirust::export]
async fn give_later(_: ()) -> Result<Vec<u8>, String> {
    mirust::yield_now().await;
    Ok(LARGE_ONE.take())
}

/// A task passes it to a closure. What became of the task.
#[mirust::export]
async fn pass(f: BoxRoot<fn(OCamlBytes) -> isize>) -> String {
    let task = mirust::spawn(async move {
        let large = LARGE_ONE.take();
        with_runtime(|ocaml| f.call(ocaml, (large,)).map_or(-1, |n| n.to_i64()))
    });
    match task.await {
        Ok(result) => format!("{result:?}"),
        Err(error) => error.to_string(),
    }
}

/// The same, borrowed: OCaml gets a copy as a bigarray.
#[mirust::export]
async fn pass_bigarray(f: BoxRoot<fn(OCamlBigarray) -> isize>) -> String {
    let task = mirust::spawn(async move {
        let large = LARGE_ONE.take();
        with_runtime(|ocaml| f.call(ocaml, (&large[..],)).map_or(-1, |n| n.to_i64()))
    });
    match task.await {
        Ok(result) => format!("{result:?}"),
        Err(error) => error.to_string(),
    }
}

/// A task makes an OCaml value of it, for itself.
#[mirust::export]
async fn make(_: ()) -> String {
    let task = mirust::spawn(async {
        let large = LARGE_ONE.take();
        let made = with_runtime(|ocaml| -> BoxRoot<OCamlBytes> { large.to_boxroot(ocaml) });
        made.map(drop)
    });
    match task.await {
        Ok(result) => format!("{result:?}"),
        Err(error) => error.to_string(),
    }
}
