//! The program as an image: the network first, then its own `main`, on the main stack.

#[path = "main.rs"]
mod program;

async fn run() -> Result<(), String> {
    mirust::net::up().await.map_err(|error| error.to_string())?;
    program::main().map_err(|error| error.to_string())
}

mirust::main!(run);
