use semver::{Version, VersionReq};

fn main() {
    let wanted = VersionReq::parse(">=1.2.3, <1.8.0").unwrap();
    assert!(wanted.matches(&Version::parse("1.3.0").unwrap()));
    println!("works");
}
