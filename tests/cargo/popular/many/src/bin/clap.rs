use clap::Parser;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 1)]
    count: u8,
}

fn main() {
    assert_eq!(Arguments::parse().count, 1);
    assert_eq!(Arguments::parse_from(["x", "--count", "3"]).count, 3);
    println!("works");
}
