fn main() -> Result<(), Box<dyn std::error::Error>> {
    assert!(dotenvy::dotenv().is_err(), "there is a .env");
    std::env::set_current_dir("/tmp")?;
    std::fs::write(".env", "GREETING=\"hello world\"\n")?;
    dotenvy::dotenv()?;
    assert_eq!(dotenvy::var("GREETING")?, "hello world");
    println!("works");
    Ok(())
}
