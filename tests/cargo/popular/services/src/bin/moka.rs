use std::time::Duration;

#[tokio::main]
async fn main() {
    let cache = moka::future::Cache::builder()
        .max_capacity(100)
        .time_to_live(Duration::from_secs(60))
        .build();
    let loaded = cache.get_with(1, async { "one".to_owned() }).await;
    assert_eq!((loaded.as_str(), cache.get(&1).await), ("one", Some("one".to_owned())));
    for i in 0..1000 {
        cache.insert(i, i.to_string()).await;
    }
    cache.run_pending_tasks().await;
    assert_eq!(cache.entry_count(), 100);
    println!("works");
}
