use rusqlite::Connection;

fn main() -> rusqlite::Result<()> {
    let base = Connection::open_in_memory()?;
    base.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL)", ())?;
    base.execute("INSERT INTO person (name) VALUES (?1)", ["Steven"])?;
    let name: String = base.query_row("SELECT name FROM person", (), |row| row.get(0))?;
    assert_eq!(name, "Steven");
    println!("works");
    Ok(())
}
