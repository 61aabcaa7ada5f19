use jiff::{Timestamp, ToSpan};

fn main() {
    let time: Timestamp = "2024-07-11T01:14:00Z".parse().unwrap();
    assert_eq!((time + 1.hour()).to_string(), "2024-07-11T02:14:00Z");
    assert!(Timestamp::now() > time || Timestamp::now().as_second() < 3600);
    println!("works");
}
