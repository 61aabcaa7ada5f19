fn main() -> sled::Result<()> {
    let path = std::env::temp_dir().join("database");
    {
        let database = sled::Config::new().path(&path).cache_capacity(1 << 20).open()?;
        database.insert("key", "value")?;
        database.flush()?;
    }
    let database = sled::open(&path)?;
    assert_eq!(database.get("key")?.as_deref(), Some(&b"value"[..]));
    println!("works");
    Ok(())
}
