use regex::Regex;

fn main() {
    let date = Regex::new(r"(?<year>\d{4})-(?<month>\d{2})").unwrap();
    assert_eq!(&date.captures("on 2024-05 it").unwrap()["month"], "05");
    println!("works");
}
