use futures::channel::mpsc;
use futures::executor::LocalPool;
use futures::stream::StreamExt;
use futures::task::SpawnExt;

fn main() {
    let mut pool = LocalPool::new();
    let (sender, receiver) = mpsc::unbounded::<i32>();
    let send = async move {
        for number in 0..100 {
            sender.unbounded_send(number).unwrap();
        }
    };
    pool.spawner().spawn(send).unwrap();
    let doubled: Vec<i32> = pool.run_until(receiver.map(|number| number * 2).collect());
    assert_eq!(doubled.iter().sum::<i32>(), 9900);
    println!("works");
}
