fn main() -> std::io::Result<()> {
    let interfaces = if_addrs::get_if_addrs()?;
    let own = |test: fn(&if_addrs::Interface) -> bool| interfaces.iter().any(test);
    assert!(own(|i| i.is_loopback() && i.ip().is_ipv4()));
    // The network's own, which a program without sockets has as well.
    assert!(own(|i| !i.is_loopback() && i.ip().is_ipv4() && i.index == Some(2)), "{interfaces:?}");
    println!("works");
    Ok(())
}
