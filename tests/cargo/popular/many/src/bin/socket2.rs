use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;

fn main() -> std::io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&"127.0.0.1:3000".parse::<SocketAddr>().unwrap().into())?;
    socket.listen(16)?;
    assert_eq!(socket.local_addr()?.as_socket().unwrap().port(), 3000);
    println!("works");
    Ok(())
}
