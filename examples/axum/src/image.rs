//! The program as an image: brings the network up, then calls the program's own `main` on the main stack.

#[path = "main.rs"]
mod program;

async fn run() -> Result<(), String> {
    mirust::net::up().await.map_err(|error| error.to_string())?;
    program::main().map_err(|error| error.to_string())
}

mirust::main!(run);
