fn main() -> fjall::Result<()> {
    let config =
        || fjall::Config::new("/tmp/db").max_write_buffer_size(1 << 22).cache_size(1 << 20);
    let keyspace = config().open()?;
    let partition = keyspace.open_partition("items", Default::default())?;
    for i in 0..1000_u32 {
        partition.insert(i.to_be_bytes(), [7; 100])?;
    }
    keyspace.persist(fjall::PersistMode::SyncAll)?;
    drop((partition, keyspace));
    let partition = config().open()?.open_partition("items", Default::default())?;
    assert_eq!(partition.iter().count(), 1000);
    println!("works");
    Ok(())
}
