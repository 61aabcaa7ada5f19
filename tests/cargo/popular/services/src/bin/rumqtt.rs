use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};

// MQTT: a broker on threads of its own, and a client.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = r#"
        id = 0
        [router]
        id = 0
        max_connections = 100
        max_outgoing_packet_count = 200
        max_segment_size = 1048576
        max_segment_count = 10
        [v4.1]
        name = "v4-1"
        listen = "127.0.0.1:1883"
        next_connection_delay_ms = 1
        [v4.1.connections]
        connection_timeout_ms = 60000
        max_payload_size = 20480
        max_inflight_count = 100
        dynamic_filters = true
    "#;
    let config: rumqttd::Config = config::Config::builder()
        .add_source(config::File::from_str(config, config::FileFormat::Toml))
        .build()?
        .try_deserialize()?;
    std::thread::spawn(|| rumqttd::Broker::new(config).start());
    while std::net::TcpStream::connect("127.0.0.1:1883").is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (client, mut events) = AsyncClient::new(MqttOptions::new("test", "127.0.0.1", 1883), 10);
    client.subscribe("hello/+", QoS::AtLeastOnce).await?;
    client.publish("hello/rumqtt", QoS::AtLeastOnce, false, "payload").await?;
    loop {
        if let Event::Incoming(Packet::Publish(message)) = events.poll().await? {
            assert_eq!((&*message.topic, &message.payload[..]), ("hello/rumqtt", &b"payload"[..]));
            break;
        }
    }
    println!("works");
    Ok(())
}
