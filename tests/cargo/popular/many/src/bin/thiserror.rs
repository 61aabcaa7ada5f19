#[derive(thiserror::Error, Debug)]
enum Failure {
    #[error("no number")]
    Number(#[from] std::num::ParseIntError),
}

fn main() {
    let failure: Failure = "x".parse::<u8>().unwrap_err().into();
    assert_eq!(failure.to_string(), "no number");
    println!("works");
}
