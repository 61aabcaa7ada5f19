use std::io::{BufRead, BufReader, Write};

use redis::{AsyncCommands, Commands};

/// Just enough of a server: SET, GET, and OK to all else.
fn serve(listener: std::net::TcpListener) {
    let store = std::sync::Arc::new(std::sync::Mutex::new(std::collections::HashMap::new()));
    for stream in listener.incoming().flatten() {
        let store = store.clone();
        std::thread::spawn(move || {
            let mut lines =
                BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let mut stream = stream;
            while let Some(count) = lines.next() {
                let count: usize = count[1..].parse().unwrap();
                let words: Vec<String> = (0..count).map(|_| lines.nth(1).unwrap()).collect();
                let answer = match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                    ["SET", key, value] => {
                        store.lock().unwrap().insert(key.to_string(), value.to_string());
                        "+OK\r\n".to_owned()
                    }
                    ["GET", key] => match store.lock().unwrap().get(*key) {
                        Some(value) => format!("${}\r\n{value}\r\n", value.len()),
                        None => "$-1\r\n".to_owned(),
                    },
                    _ => "+OK\r\n".to_owned(),
                };
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
    }
}

#[tokio::main]
async fn main() -> redis::RedisResult<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:6379").unwrap();
    std::thread::spawn(move || serve(listener));
    let client = redis::Client::open("redis://127.0.0.1/")?;
    let mut connection = client.get_connection()?;
    let _: () = connection.set("key", 42)?;
    assert_eq!(connection.get::<_, i32>("key")?, 42);
    let mut many = client.get_multiplexed_async_connection().await?;
    let (one, none): (i32, Option<String>) = tokio::try_join!(
        {
            let mut many = many.clone();
            async move { many.get("key").await }
        },
        async { many.get("none").await },
    )?;
    assert_eq!((one, none), (42, None));
    println!("works");
    Ok(())
}
