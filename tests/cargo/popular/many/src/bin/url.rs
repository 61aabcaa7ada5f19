fn main() {
    let url = url::Url::parse("https://example.org:8080/a?b=c#d").unwrap();
    assert_eq!((url.port(), url.query()), (Some(8080), Some("b=c")));
    println!("works");
}
