use rusqlite::{Connection, ErrorCode};

#[derive(Debug, PartialEq)]
struct Person {
    id: i32,
    name: String,
    data: Option<Vec<u8>>,
}

fn main() -> rusqlite::Result<()> {
    let mut base = Connection::open_in_memory()?;
    base.execute(
        "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL, data BLOB)",
        (),
    )?;
    let changes = base.transaction()?;
    for name in ["Steven", "Ada"] {
        changes
            .execute("INSERT INTO person (name, data) VALUES (?1, ?2)", (name, None::<Vec<u8>>))?;
    }
    changes.commit()?;
    let people = base
        .prepare("SELECT id, name, data FROM person ORDER BY name")?
        .query_map([], |row| Ok(Person { id: row.get(0)?, name: row.get(1)?, data: row.get(2)? }))?
        .collect::<Result<Vec<_>, _>>()?;
    let person = |id, name: &str| Person { id, name: name.into(), data: None };
    assert_eq!(people, [person(2, "Ada"), person(1, "Steven")]);
    // Sorting is SQLite's own where there is no index, and its words are found by its full-text search.
    base.execute_batch(
        "CREATE VIRTUAL TABLE page USING fts5(text);
         INSERT INTO page VALUES ('a domain'), ('a database in a domain');",
    )?;
    let found: i32 =
        base.query_row("SELECT rowid FROM page WHERE page MATCH 'database'", (), |row| row.get(0))?;
    assert_eq!(found, 2);
    // A base in a file cannot be made, and SQLite says so.
    let Err(rusqlite::Error::SqliteFailure(error, Some(text))) = Connection::open("base.db") else {
        panic!("it was made");
    };
    assert_eq!(error.code, ErrorCode::CannotOpen);
    println!("{text}");
    println!("works");
    Ok(())
}
