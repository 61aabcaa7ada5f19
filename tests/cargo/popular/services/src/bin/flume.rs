use std::thread;

#[tokio::main]
async fn main() {
    let (send, receive) = flume::bounded(4);
    let producer = thread::spawn(move || (0..100).for_each(|i| send.send(i).unwrap()));
    let mut sum = 0;
    while let Ok(i) = receive.recv_async().await {
        sum += i;
    }
    producer.join().unwrap();
    let (send, receive) = async_channel::bounded(1);
    let (_, got) = tokio::join!(send.send(7), receive.recv());
    assert_eq!((sum, got), (4950, Ok(7)));
    println!("works");
}
