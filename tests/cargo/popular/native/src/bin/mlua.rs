//! Lua: errors, which are jumps in its C, coroutines, files and dates.

use mlua::{Error, Lua, Thread};

fn main() -> Result<(), Error> {
    let lua = Lua::new();
    let sum: i64 = lua.load("local s = 0 for i = 1, 100 do s = s + i end return s").eval()?;
    assert_eq!(sum, 5050);
    let fails = lua.create_function(|_, ()| Err::<(), _>(Error::runtime("as asked")))?;
    lua.globals().set("fails", fails)?;
    let (ok, text): (bool, String) = lua
        .load("local ok, e = pcall(fails) return ok, tostring(e)")
        .eval()?;
    assert!(!ok && text.contains("as asked"));
    let (ok, text): (bool, String) = lua.load("return pcall(error, 'plain')").eval()?;
    assert_eq!((ok, text.as_str()), (false, "plain"));
    let pairs: Thread = lua
        .load("return coroutine.create(function(a) return 2 * coroutine.yield(a + 1) end)")
        .eval()?;
    assert_eq!((pairs.resume::<i64>(1)?, pairs.resume::<i64>(21)?), (2, 42));
    let text: String = lua
        .load(
            r#"
            local f = assert(io.open("/tmp/words.txt", "w"))
            f:write("one\n", 2, "\n", 3.5, "\n") f:close()
            local lines = {}
            for line in io.lines("/tmp/words.txt") do lines[#lines + 1] = line end
            f = assert(io.open("/tmp/words.txt", "r+"))
            f:seek("end") f:write("last") f:seek("set", 4)
            local n, m = f:read("n", "n")
            local rest = f:read("a") f:close()
            local t = io.tmpfile() t:write("x") t:seek("set") assert(t:read("a") == "x") t:close()
            assert(os.remove("/tmp/words.txt"))
            assert(os.date("!%Y-%m-%d %H:%M:%S", 86400) == "1970-01-02 00:00:00")
            assert(os.time{year=1970, month=1, day=2, hour=0} == 86400)
            return table.concat(lines, ",") .. ";" .. n + m .. ";" .. rest
            "#,
        )
        .eval()?;
    assert_eq!(text, "one,2,3.5;5.5;\nlast");
    println!("works");
    Ok(())
}
