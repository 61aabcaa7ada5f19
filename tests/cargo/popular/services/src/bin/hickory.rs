use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::name_server::TokioConnectionProvider;
use hickory_resolver::proto::xfer::Protocol;
use hickory_server::ServerFuture;
use hickory_server::authority::{Catalog, ZoneType};
use hickory_server::proto::rr::{LowerName, Name, RData, Record, rdata};
use hickory_server::store::in_memory::InMemoryAuthority;

// A name server for a zone of its own, and a resolver that asks it, over UDP and TCP.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let origin = Name::from_ascii("example.test.")?;
    let mut zone = InMemoryAuthority::empty(origin.clone(), ZoneType::Primary, false);
    let soa = rdata::SOA::new(origin.clone(), origin.clone(), 1, 2, 3, 4, 5);
    zone.upsert_mut(Record::from_rdata(origin.clone(), 60, RData::SOA(soa)), 0);
    let www = Name::from_ascii("www.example.test.")?;
    zone.upsert_mut(Record::from_rdata(www, 60, RData::A("192.0.2.80".parse()?)), 0);
    let mut catalog = Catalog::new();
    catalog.upsert(LowerName::new(&origin), vec![Arc::new(zone)]);
    let mut server = ServerFuture::new(catalog);
    server.register_socket(tokio::net::UdpSocket::bind("127.0.0.1:5300").await?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:5300").await?;
    server.register_listener(listener, Duration::from_secs(5));
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let mut config = ResolverConfig::new();
        config.add_name_server(NameServerConfig::new("127.0.0.1:5300".parse()?, protocol));
        let provider = TokioConnectionProvider::default();
        let resolver = Resolver::builder_with_config(config, provider).build();
        let found = resolver.lookup_ip("www.example.test.").await?;
        assert_eq!(found.iter().collect::<Vec<_>>(), ["192.0.2.80".parse::<std::net::IpAddr>()?]);
        assert!(resolver.lookup_ip("none.example.test.").await.is_err());
    }
    println!("works");
    Ok(())
}
