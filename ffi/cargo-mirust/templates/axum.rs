//! Says hello over HTTP.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new()
        .route("/", get(async || "Hello, world!\n"))
        .route("/{name}", get(hello));
    let listener = TcpListener::bind("0.0.0.0:8080").await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await
}

async fn hello(Path(name): Path<String>) -> String {
    format!("Hello, {name}!\n")
}
