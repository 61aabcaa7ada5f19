//! Images of files, of which some bytes were changed.

use crate::Choices;
use mirust_files::lies::{SMALL, walk};

/// The small image with other bytes in some places: where, how many, and what, in turn.
pub fn image(data: &[u8]) {
    let mut image = SMALL.to_vec();
    let mut choices = Choices::new(data);
    for _ in 0..data.len() / 5 {
        let at = 1024 + choices.below(image.len() - 1024);
        let width = [1, 2, 4][choices.below(3)];
        for byte in image[at..].iter_mut().take(width) {
            *byte = choices.below(256) as u8;
        }
    }
    walk(&image);
}
