use wasmtime::{Caller, Engine, Linker, Module, Store, Trap};

const PROGRAM: &str = r#"(module
    (import "host" "add" (func $add (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "\2a")
    (func (export "sum") (param $n i32)
        (loop $again
            (call $add (local.get $n))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br_if $again (local.get $n))))
    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "grow") (result i32) (memory.grow (i32.const 2)))
    (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
    (func $deeper (export "recur") (param i32) (result i32)
        (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1))))"#;

// Calls in both directions, and traps: of memory, of a division, and of a stack that is used up.
fn main() -> wasmtime::Result<()> {
    let engine = Engine::default();
    let module = Module::new(&engine, PROGRAM)?;
    let mut store = Store::new(&engine, 0);
    let mut linker = Linker::new(&engine);
    linker
        .func_wrap("host", "add", |mut caller: Caller<'_, i32>, n: i32| *caller.data_mut() += n)?;
    for _ in 0..2 {
        let instance = linker.instantiate(&mut store, &module)?;
        instance.get_typed_func::<i32, ()>(&mut store, "sum")?.call(&mut store, 100)?;
        let load = instance.get_typed_func::<i32, i32>(&mut store, "load")?;
        assert_eq!(load.call(&mut store, 8)?, 42);
        let trap = load.call(&mut store, 100_000).unwrap_err();
        assert_eq!(trap.downcast::<Trap>()?, Trap::MemoryOutOfBounds);
        assert_eq!(
            instance.get_typed_func::<(), i32>(&mut store, "grow")?.call(&mut store, ())?,
            1
        );
        assert_eq!(load.call(&mut store, 100_000)?, 0);
        let divide = instance.get_typed_func::<(i32, i32), i32>(&mut store, "divide")?;
        assert_eq!(divide.call(&mut store, (42, 6))?, 7);
        let trap = divide.call(&mut store, (1, 0)).unwrap_err();
        assert_eq!(trap.downcast::<Trap>()?, Trap::IntegerDivisionByZero);
        let recur = instance.get_typed_func::<i32, i32>(&mut store, "recur")?;
        let trap = recur.call(&mut store, 0).unwrap_err();
        assert_eq!(trap.downcast::<Trap>()?, Trap::StackOverflow);
    }
    assert_eq!(*store.data(), 10_100);
    println!("works");
    Ok(())
}
