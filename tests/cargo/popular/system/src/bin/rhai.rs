fn main() -> Result<(), Box<rhai::EvalAltResult>> {
    let answer = rhai::Engine::new().eval::<i64>("fn f(n) { n + 2 } let x = 40; f(x)")?;
    assert_eq!(answer, 42);
    println!("works");
    Ok(())
}
