use lettre::{Message, SmtpTransport, Transport};
use std::io::{BufRead, BufReader, Write};

// A client of SMTP, and just enough of a server.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = std::net::TcpListener::bind("127.0.0.1:2525")?;
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut say = |text: &str| stream.write_all(text.as_bytes()).unwrap();
        say("220 here\r\n");
        let mut text = Vec::new();
        while let Some(Ok(line)) = lines.next() {
            match line.split(' ').next().unwrap() {
                "EHLO" => say("250-here\r\n250 8BITMIME\r\n"),
                "DATA" => {
                    say("354 go on\r\n");
                    text = lines
                        .by_ref()
                        .map_while(Result::ok)
                        .take_while(|line| line != ".")
                        .collect();
                    say("250 taken\r\n");
                }
                "QUIT" => say("221 bye\r\n"),
                _ => say("250 yes\r\n"),
            }
        }
        text
    });
    let message = Message::builder()
        .from("A <a@example.org>".parse()?)
        .to("B <b@example.org>".parse()?)
        .subject("Greetings")
        .body("Hello, Xen!".to_owned())?;
    let transport = SmtpTransport::builder_dangerous("127.0.0.1").port(2525).build();
    transport.send(&message)?;
    drop(transport);
    let text = server.join().unwrap();
    assert!(
        text.contains(&"Subject: Greetings".into()) && text.contains(&"Hello, Xen!".into()),
        "{text:?}"
    );
    println!("works");
    Ok(())
}
