//! An image that fails in the way its command line asks for.
#![cfg(feature = "xen")]

mod memory;
use mirust_rt::boot;
use mirust_rt::diag::{self, console};
use mirust_rt::mem::{PAGE_SIZE, frames};
use std::hint::black_box;

#[unsafe(no_mangle)]
extern "C-unwind" fn mirust_main() -> i32 {
    std::panic::set_hook(Box::new(|info| {
        diag::note_panic(format_args!("{info}"));
        console::print(format_args!("{info}\n"));
    }));
    let line = String::from_utf8_lossy(boot::command_line()).into_owned();
    match line.as_str() {
        "" => {
            console::print(format_args!("no command line\n"));
            0
        }
        "exit 3" => 3,
        "null write" => null_write(),
        "null read" => null_read(),
        "null call" => null_call(),
        "write to text" => write_to_text(),
        "write to rodata" => write_to_rodata(),
        "execute data" => execute_data(),
        "stack overflow" => overflow(1) as i32,
        "large frame" => large_frame(0) as i32,
        "divide error" => divide_error(),
        "invalid opcode" => invalid_opcode(),
        "general protection" => general_protection(),
        "panic" => as_asked(),
        "double panic" => double_panic(),
        "caught panic" => caught_panic(),
        "tls" => tls(),
        "avx" => avx(),
        "module" => module(),
        "memory" => memory(),
        "address space" => memory::address_space(),
        "reserved page" => memory::reserved_page(),
        "read-only page" => memory::read_only_page(),
        "decommitted page" => memory::decommitted_page(),
        "clock" => clock(),
        "fault in report" => fault_in_report(),
        "heap exhaustion" => heap_exhaustion(),
        _ => {
            console::print(format_args!("unknown case: {} bytes\n", line.len()));
            2
        }
    }
}

#[inline(never)]
fn null_write() -> i32 {
    // SAFETY: none: the fault is the test.
    unsafe { black_box(std::ptr::null_mut::<i32>()).write_volatile(1) };
    0
}

#[inline(never)]
fn null_read() -> i32 {
    // SAFETY: none: the fault is the test.
    unsafe { black_box(std::ptr::null::<i32>()).wrapping_add(6).read_volatile() }
}

#[inline(never)]
fn null_call() -> i32 {
    // SAFETY: none: the fault is the test.
    let f: extern "C" fn() -> i32 = unsafe { std::mem::transmute(black_box(8usize)) };
    f() + 1
}

#[inline(never)]
fn write_to_text() -> i32 {
    let code = black_box(write_to_text as *mut u8);
    // SAFETY: none: the fault is the test.
    unsafe { code.write_volatile(0xc3) };
    0
}

#[inline(never)]
fn write_to_rodata() -> i32 {
    static CONSTANT: [u8; 64] = [7; 64];
    // SAFETY: none: the fault is the test.
    unsafe { black_box(CONSTANT.as_ptr().cast_mut()).write_volatile(1) };
    0
}

#[inline(never)]
fn execute_data() -> i32 {
    let ret = Box::new([0xc3u8; 16]);
    // SAFETY: none: the fault is the test.
    let f: extern "C" fn() -> i32 = unsafe { std::mem::transmute(black_box(ret.as_ptr())) };
    f() + 1
}

/// A frame of many times the guard's size: touched in order, from the top.
#[inline(never)]
fn large_frame(depth: u64) -> u64 {
    let mut frame = [0u8; 512 << 10];
    black_box(&mut frame);
    let rest = if depth == 1_000_000 { 0 } else { large_frame(depth + 1) };
    u64::from(frame[usize::from(depth as u8)]) + rest
}

#[inline(never)]
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    frame[3] + if depth == 0 { 0 } else { overflow(depth + 1) }
}

#[inline(never)]
fn divide_error() -> i32 {
    let result: u32;
    // SAFETY: none: the fault is the test.
    unsafe {
        std::arch::asm!("div {0:e}", in(reg) 0u32, inout("eax") 1u32 => result, out("edx") _);
    }
    result as i32
}

#[inline(never)]
fn invalid_opcode() -> i32 {
    // SAFETY: none: the fault is the test.
    unsafe { std::arch::asm!("ud2") };
    0
}

#[inline(never)]
fn general_protection() -> i32 {
    let address = black_box(0x8000_0000_0000_0000usize);
    // SAFETY: none: the fault is the test.
    unsafe { (address as *const i32).read_volatile() }
}

#[inline(never)]
fn as_asked() -> i32 {
    panic!("as asked")
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("second");
    }
}

fn double_panic() -> i32 {
    let result = std::panic::catch_unwind(|| {
        let _guard = PanicsOnDrop;
        panic!("first");
    });
    i32::from(result.is_ok())
}

/// Panics are caught, twice.
fn caught_panic() -> i32 {
    for i in 0..2 {
        let result = std::panic::catch_unwind(|| black_box(&[1, 2][..])[black_box(2)]);
        assert!(result.is_err());
        console::print(format_args!("caught {i}\n"));
    }
    0
}

/// Thread-local variables, with and without initial values, and one that is widely aligned.
fn tls() -> i32 {
    use std::cell::Cell;
    #[repr(align(64))]
    struct Wide(Cell<u64>);
    thread_local! {
        static FIRST: Cell<u64> = const { Cell::new(0x1234_5678) };
        static ZERO: Cell<u64> = const { Cell::new(0) };
        static WIDE: Wide = const { Wide(Cell::new(7)) };
    }
    assert_eq!((FIRST.get(), ZERO.get()), (0x1234_5678, 0));
    WIDE.with(|w| {
        assert_eq!(w.0.get(), 7);
        assert_eq!(std::ptr::from_ref(w).addr() % 64, 0);
        w.0.set(8);
    });
    FIRST.set(1);
    ZERO.set(2);
    assert_eq!((FIRST.get(), ZERO.get(), WIDE.with(|w| w.0.get())), (1, 2, 8));
    console::print(format_args!("thread-local variables work\n"));
    0
}

/// AVX registers, if the CPU has them.
fn avx() -> i32 {
    if !std::is_x86_feature_detected!("avx") {
        console::print(format_args!("no AVX\n"));
        return 0;
    }
    // SAFETY: the CPU has AVX, as was just detected.
    unsafe { std::arch::asm!("vxorps ymm0, ymm0, ymm0", out("ymm0") _) };
    console::print(format_args!("AVX works\n"));
    0
}

/// Prints the first module.
fn module() -> i32 {
    for (i, module) in boot::modules().enumerate() {
        let text = String::from_utf8_lossy(module);
        console::print(format_args!("module {i}: {text}\n"));
    }
    0
}

/// Writes and reads every page that the allocator has.
fn memory() -> i32 {
    let stats = frames::stats();
    let mib = stats.total >> 8;
    console::print(format_args!("MiB of memory: {mib}\n"));
    // All of a small memory, samples of a large one: the host may back each with a huge page.
    let run = (stats.free / 64).clamp(1, 1 << 12);
    let mut count = 0;
    let mut last = 0;
    while let Ok(frame) = frames::alloc_pages(run) {
        assert!(frame.0 > last || count == 0);
        last = frame.0 + run * PAGE_SIZE - 8;
        if count < 64 || count % 64 == 0 {
            touch(frame.0);
            touch(last);
        }
        count += 1;
    }
    touch(last);
    assert!(count >= 32, "{count} runs of {run} pages");
    console::print(format_args!("memory works\n"));
    0
}

/// Writes to memory and reads it back.
fn touch(address: usize) {
    let p = address as *mut usize;
    // SAFETY: callers pass aligned addresses in frames that they own, which are identity-mapped.
    unsafe {
        p.write_volatile(address);
        assert_eq!(p.read_volatile(), address);
    }
}

/// Time passes, and a sleep takes about as long as it should.
fn clock() -> i32 {
    use mirust_rt::{domain, time::Duration};
    let start = domain::now();
    domain::block_on(domain::sleep(Duration::from_millis(50)));
    let slept = domain::now().duration_since(start).as_millis();
    assert!((50..500).contains(&slept), "slept {slept} ms");
    log::info!("slept {slept} ms");
    console::print(format_args!("clock works\n"));
    0
}

/// The console itself fails.
fn fault_in_report() -> i32 {
    console::set_sink(|_| {
        null_write();
    });
    null_write()
}

fn heap_exhaustion() -> i32 {
    let mut all = Vec::new();
    loop {
        all.push(vec![1u8; 100_000]);
        black_box(&all);
    }
}
