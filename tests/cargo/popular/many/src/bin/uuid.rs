use uuid::Uuid;

fn main() {
    assert_ne!(Uuid::new_v4(), Uuid::new_v4());
    assert_eq!(Uuid::now_v7().get_version_num(), 7);
    println!("works");
}
