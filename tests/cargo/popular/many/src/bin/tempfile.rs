fn main() {
    // A domain has no directory to write to: the error is an ordinary one.
    assert!(tempfile::NamedTempFile::new().is_err());
    println!("works");
}
