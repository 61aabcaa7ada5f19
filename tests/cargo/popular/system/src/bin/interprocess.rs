use std::io::{self, BufRead, BufReader, Write};
use std::thread;

use interprocess::local_socket::{
    GenericFilePath, GenericNamespaced, ListenerOptions, Name, Stream, prelude::*,
};

fn main() -> io::Result<()> {
    echo("/tmp/echo.socket".to_fs_name::<GenericFilePath>()?)?;
    echo("echo.socket".to_ns_name::<GenericNamespaced>()?)?;
    println!("works");
    Ok(())
}

fn echo(name: Name<'_>) -> io::Result<()> {
    let listener = ListenerOptions::new().name(name.borrow()).create_sync()?;
    let server = thread::spawn(move || -> io::Result<()> {
        let mut stream = BufReader::new(listener.accept()?);
        let mut line = String::new();
        stream.read_line(&mut line)?;
        stream.get_mut().write_all(line.as_bytes())
    });
    let mut stream = BufReader::new(Stream::connect(name)?);
    stream.get_mut().write_all(b"hello\n")?;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    assert_eq!(line, "hello\n");
    server.join().expect("the server panicked")
}
