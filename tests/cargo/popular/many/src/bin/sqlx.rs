use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Connection, Row};

#[tokio::main]
async fn main() -> Result<(), sqlx::Error> {
    // SQLite, in memory. Each connection would have a base of its own.
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::query("CREATE TABLE todo (id INTEGER PRIMARY KEY, text TEXT)").execute(&pool).await?;
    let mut changes = pool.begin().await?;
    for text in ["boot", "serve"] {
        sqlx::query("INSERT INTO todo (text) VALUES (?)").bind(text).execute(&mut *changes).await?;
    }
    changes.commit().await?;
    let rows = sqlx::query("SELECT text FROM todo WHERE id > ?").bind(1).fetch_all(&pool).await?;
    assert_eq!(rows.iter().map(|row| row.get("text")).collect::<Vec<&str>>(), ["serve"]);

    // There is no PostgreSQL in the domain: the error has to be the network's.
    let server = PgConnection::connect("postgres://postgres:password@127.0.0.1:5432/test").await;
    match server.unwrap_err() {
        sqlx::Error::Io(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused),
        other => panic!("{other}"),
    }
    println!("works");
    Ok(())
}
