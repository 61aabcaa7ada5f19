use redb::{Database, TableDefinition, backends::InMemoryBackend};

const TABLE: TableDefinition<&str, u64> = TableDefinition::new("numbers");

fn main() -> Result<(), redb::Error> {
    let database = Database::builder().create_with_backend(InMemoryBackend::new())?;
    let write = database.begin_write()?;
    write.open_table(TABLE)?.insert("seven", &7)?;
    write.commit()?;
    let table = database.begin_read()?.open_table(TABLE)?;
    assert_eq!(table.get("seven")?.unwrap().value(), 7);
    println!("works");
    Ok(())
}
