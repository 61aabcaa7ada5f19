//! JavaScript: numbers, dates, and exceptions, one of them for a stack without end.

use rquickjs::{Context, Result, Runtime};

fn main() {
    let context = Context::full(&Runtime::new().unwrap()).unwrap();
    context.with(|js| {
        let n: i32 = js.eval("[1, 2, 3].map(x => x * 2).reduce((a, b) => a + b)").unwrap();
        assert_eq!(n, 12);
        let text: String = js.eval("new Date(0).toISOString() + Math.pow(2, 0.5)").unwrap();
        assert_eq!(text, "1970-01-01T00:00:00.000Z1.4142135623730951");
        let thrown: Result<i32> = js.eval("throw new Error('as asked')");
        assert!(thrown.is_err());
        let thrown: Result<i32> = js.eval("function f() { return f() } f()");
        assert!(thrown.is_err());
    });
    println!("works");
}
