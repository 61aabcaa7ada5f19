use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

// gRPC's health service, whose messages need no compiler of protocols: HTTP/2 on both ends.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("greeter", tonic_health::ServingStatus::Serving).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:50051").await?;
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming),
    );
    let channel = tonic::transport::Endpoint::from_static("http://127.0.0.1:50051").connect().await?;
    let request = HealthCheckRequest { service: "greeter".into() };
    let answer = HealthClient::new(channel).check(request).await?;
    assert_eq!(answer.into_inner().status, 1);
    println!("works");
    Ok(())
}
