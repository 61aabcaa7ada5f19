//! Changes of the memory's size, told as the runtime does it.

use mirust::domain::resize_listeners;
use mirust::memory::Resized;

/// Tells everybody, from a task.
#[mirust::export]
async fn test_resize_tell(bytes: isize, short: isize) {
    resize_listeners().tell(Resized { bytes: bytes as usize, short: short as usize });
}
