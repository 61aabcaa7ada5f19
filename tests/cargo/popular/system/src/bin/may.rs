use std::io::{Read, Write};
use std::time::Duration;

use may::net::{TcpListener, TcpStream};
use may::sync::mpsc;
use may::{coroutine, go};

// Coroutines, each with a stack of its own: a server and clients, a channel, timers, and a panic that one ends by.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    may::config().set_workers(2);
    let listener = TcpListener::bind("127.0.0.1:7000")?;
    go!(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            go!(move || {
                let mut buf = [0; 64];
                while let Ok(n @ 1..) = stream.read(&mut buf) {
                    stream.write_all(&buf[..n]).unwrap();
                }
            });
        }
    });
    let (done, all) = mpsc::channel();
    for number in 0..32u8 {
        let done = done.clone();
        go!(move || {
            let mut stream = TcpStream::connect("127.0.0.1:7000").unwrap();
            coroutine::sleep(Duration::from_millis(u64::from(number)));
            stream.write_all(&[number; 8]).unwrap();
            let mut buf = [0; 8];
            stream.read_exact(&mut buf).unwrap();
            assert_eq!(buf, [number; 8]);
            done.send(u32::from(number)).unwrap();
        });
    }
    drop(done);
    assert_eq!(all.iter().sum::<u32>(), (0..32).sum());
    let fails = go!(|| panic!("as asked"));
    assert!(fails.join().is_err());
    println!("works");
    Ok(())
}
