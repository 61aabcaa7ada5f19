//! An integration test.

#[test]
fn sums_from_outside() {
    assert_eq!(library::sum(20, 22), 42);
}
