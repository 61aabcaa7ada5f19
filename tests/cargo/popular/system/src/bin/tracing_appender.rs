fn main() -> std::io::Result<()> {
    let files = tracing_appender::rolling::hourly("/tmp/logs", "app.log");
    let (writer, guard) = tracing_appender::non_blocking(files);
    tracing_subscriber::fmt().with_writer(writer).init();
    tracing::info!(n = 1, "hello");
    // It writes what is left.
    drop(guard);
    let logs = std::fs::read_dir("/tmp/logs")?.map(|entry| std::fs::read_to_string(entry?.path()));
    let logs = logs.collect::<Result<String, _>>()?;
    assert!(logs.contains("hello"), "{logs}");
    println!("works");
    Ok(())
}
