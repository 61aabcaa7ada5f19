fn main() {
    env_logger::Builder::new().filter_level(log::LevelFilter::Info).init();
    log::info!("a line of the log");
    println!("works");
}
