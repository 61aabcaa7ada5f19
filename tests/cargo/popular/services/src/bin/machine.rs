use sysinfo::System;

// What programs ask about the machine that they are on.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    assert!(num_cpus::get() >= 1);
    let system = System::new_all()?;
    assert!(system.total_memory() > 8 << 20, "{}", system.total_memory());
    assert!(!system.cpus().is_empty());
    println!("{} bytes, up for {} s", system.total_memory(), System::uptime()?);
    println!("works");
    Ok(())
}
