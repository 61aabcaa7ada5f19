//! An image that cannot be linked: it wants what only an operating system has.
#![cfg(feature = "xen")]

use mirust_rt as _;
use std::io::Write;

#[unsafe(no_mangle)]
extern "C-unwind" fn mirust_main() -> i32 {
    let mut stream = std::net::TcpStream::connect("192.0.2.1:80").unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    i32::from(std::process::Command::new("true").status().is_ok())
}
