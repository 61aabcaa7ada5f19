use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    PrometheusBuilder::new().with_http_listener(([127, 0, 0, 1], 9000)).install()?;
    metrics::counter!("requests", "path" => "/").increment(3);
    let mut stream = loop {
        match TcpStream::connect("127.0.0.1:9000") {
            Ok(stream) => break stream,
            // The listener is on a thread of its own.
            Err(_) => sleep(Duration::from_millis(20)),
        }
    };
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    assert!(text.contains("requests{path=\"/\"} 3"), "{text}");
    println!("works");
    Ok(())
}
