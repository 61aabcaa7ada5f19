//! `cargo mirust size`: what an image is made of.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::build;
use crate::home::Home;
use crate::options::Build;

/// `cargo mirust size`.
///
/// # Errors
///
/// The build fails.
pub fn size(options: &Build) -> Result<()> {
    let home = Home::find()?;
    let (images, _lock) = build::build(options)?;
    for image in images {
        let size = fs::metadata(&image.elf).map_or(0, |data| data.len());
        println!("{}: {size} bytes", image.name);
        let status = home.tool(home.file("rust-rt/link/sizes")).arg(image.with_symbols()).status();
        if !status.context("cannot run tests/rig/env")?.success() {
            bail!("cannot say what {} is made of", image.name);
        }
    }
    Ok(())
}
