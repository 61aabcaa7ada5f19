use crossbeam::{channel, thread};

fn main() {
    let (sender, receiver) = channel::bounded(1);
    let sum: u32 = thread::scope(|scope| {
        scope.spawn(move |_| (1..=100).for_each(|n| sender.send(n).unwrap()));
        scope.spawn(|_| receiver.iter().sum::<u32>()).join().unwrap()
    })
    .unwrap();
    assert_eq!(sum, 5050);
    println!("works");
}
