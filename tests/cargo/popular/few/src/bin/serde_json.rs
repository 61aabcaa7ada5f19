use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Person {
    name: String,
    age: u8,
    height: f64,
}

fn main() {
    let person = Person { name: "Ada".into(), age: 36, height: 1.62 };
    let text = serde_json::to_string(&person).unwrap();
    assert_eq!(text, r#"{"name":"Ada","age":36,"height":1.62}"#);
    assert_eq!(serde_json::from_str::<Person>(&text).unwrap(), person);
    println!("works");
}
