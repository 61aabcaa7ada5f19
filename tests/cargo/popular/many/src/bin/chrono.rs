use chrono::{DateTime, Datelike, Local, Utc};

fn main() {
    let date = DateTime::parse_from_rfc3339("2024-02-29T12:00:00+01:00").unwrap();
    assert_eq!(date.with_timezone(&Utc).to_rfc3339(), "2024-02-29T11:00:00+00:00");
    assert_eq!(Local::now().year(), Utc::now().year());
    println!("works");
}
