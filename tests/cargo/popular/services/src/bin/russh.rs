use std::sync::Arc;

use russh::keys::{Algorithm, PrivateKey, ssh_key};
use russh::server::{Auth, Msg, Server as _, Session};
use russh::{Channel, ChannelId, ChannelMsg};

#[derive(Clone)]
struct Server;

impl russh::server::Server for Server {
    type Handler = Self;
    fn new_client(&mut self, _: Option<std::net::SocketAddr>) -> Self {
        Server
    }
}

impl russh::server::Handler for Server {
    type Error = russh::Error;
    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, russh::Error> {
        Ok(if password == "secret" { Auth::Accept } else { Auth::reject() })
    }
    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: &mut Session,
    ) -> Result<bool, russh::Error> {
        Ok(true)
    }
    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(id)?;
        session.data(id, command.to_vec().into())?;
        session.exit_status_request(id, 7)?;
        session.close(id)
    }
}

struct Client;

impl russh::client::Handler for Client {
    type Error = russh::Error;
    async fn check_server_key(&mut self, _: &ssh_key::PublicKey) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

// SSH: a server and a client.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)?;
    let config = Arc::new(russh::server::Config { keys: vec![key], ..Default::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:2222").await?;
    tokio::spawn(async move { Server.run_on_socket(config, &listener).await });
    let mut session = russh::client::connect(Default::default(), "127.0.0.1:2222", Client).await?;
    assert!(session.authenticate_password("user", "secret").await?.success());
    let mut channel = session.channel_open_session().await?;
    channel.exec(true, "echo").await?;
    let (mut output, mut status) = (Vec::new(), None);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => output.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    assert_eq!((&output[..], status), (&b"echo"[..], Some(7)));
    println!("works");
    Ok(())
}
