use axum::body::Body;
use axum::http::Request;
use axum::{Router, routing::get};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::services::ServeDir;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

// Layers, files of a folder that the program has written, and a connection through all of it.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("page.html"), "<p>".repeat(1000))?;
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .fallback_service(ServeDir::new(folder.path()))
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(4096))
        .layer(TraceLayer::new_for_http())
        .layer(TimeoutLayer::with_status_code(
            axum::http::StatusCode::REQUEST_TIMEOUT,
            std::time::Duration::from_secs(10),
        ));
    let request =
        Request::get("/page.html").header("accept-encoding", "gzip").body(Body::empty())?;
    let answer = app.clone().oneshot(request).await?;
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert_eq!(answer.headers()["content-type"], "text/html");
    assert!(answer.into_body().collect().await?.to_bytes().len() < 1000);
    let answer = app.oneshot(Request::get("/none").body(Body::empty())?).await?;
    assert_eq!(answer.status(), 404);
    println!("works");
    Ok(())
}
