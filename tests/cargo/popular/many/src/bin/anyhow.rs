use anyhow::{Context, Result};

fn number(text: &str) -> Result<i32> {
    text.parse().with_context(|| format!("no number: {text}"))
}

fn main() -> Result<()> {
    assert_eq!(number("7")?, 7);
    assert_eq!(number("x").unwrap_err().to_string(), "no number: x");
    println!("works");
    Ok(())
}
