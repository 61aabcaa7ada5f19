use wasmi::{Caller, Engine, Extern, Linker, Module, Store};

const PROGRAM: &str = r#"(module
    (import "host" "add" (func $add (param i32)))
    (func (export "sum") (param $n i32)
        (loop $again
            (call $add (local.get $n))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br_if $again (local.get $n)))))"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::default();
    let module = Module::new(&engine, &wat::parse_str(PROGRAM)?)?;
    let mut store = Store::new(&engine, 0);
    let mut linker = <Linker<i32>>::new(&engine);
    linker
        .func_wrap("host", "add", |mut caller: Caller<'_, i32>, n: i32| *caller.data_mut() += n)?;
    let instance = linker.instantiate(&mut store, &module)?.start(&mut store)?;
    let sum = instance.get_export(&store, "sum").and_then(Extern::into_func).unwrap();
    sum.typed::<i32, ()>(&store)?.call(&mut store, 100)?;
    assert_eq!(*store.data(), 5050);
    println!("works");
    Ok(())
}
