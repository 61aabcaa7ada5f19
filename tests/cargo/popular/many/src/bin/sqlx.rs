use sqlx::postgres::PgPoolOptions;

// There is no PostgreSQL in the domain: the error has to be the network's.
#[tokio::main]
async fn main() {
    let pool = PgPoolOptions::new()
        .max_connections(5)
        .acquire_timeout(std::time::Duration::from_secs(5))
        .connect("postgres://postgres:password@127.0.0.1:5432/test")
        .await;
    match pool.unwrap_err() {
        sqlx::Error::Io(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused),
        other => panic!("{other}"),
    }
    println!("works");
}
