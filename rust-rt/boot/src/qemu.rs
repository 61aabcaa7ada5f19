//! The image directly on QEMU (`-kernel`), without Xen: console and exit.
//!
//! Output goes to the first serial port. The exit status goes to QEMU's isa-debug-exit device at
//! port 0xf4, which ends QEMU with status `(code << 1) | 1`; without that device a triple fault
//! resets the machine, which `-no-reboot` turns into an exit of QEMU with status 0.

use super::cpu::{halt, inb, outb};
use core::arch::asm;

const COM1: u16 = 0x3f8;
const DEBUG_EXIT: u16 = 0xf4;

/// 115200 8n1, FIFO on, no interrupts.
pub fn init_serial() {
    for (register, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 7), (4, 3)] {
        // SAFETY: the registers of a 16550, which has no DMA.
        unsafe { outb(COM1 + register, value) }
    }
}

/// Writes `bytes` to the serial port; a line feed becomes CR LF.
pub fn serial_write(bytes: &[u8]) {
    for &b in bytes {
        if b == b'\n' {
            serial_byte(b'\r');
        }
        serial_byte(b);
    }
}

fn serial_byte(b: u8) {
    // SAFETY: the registers of a 16550, which has no DMA. The bounded wait is for a port that is
    // not there, or a reader that has gone.
    unsafe {
        for _ in 0..100_000 {
            if inb(COM1 + 5) & 0x20 != 0 {
                break;
            }
        }
        outb(COM1, b);
    }
}

/// Ends QEMU, or failing that the machine.
pub fn exit(code: i32) -> ! {
    // SAFETY: nothing runs afterwards. An empty IDT turns the UD2 into a triple fault.
    unsafe {
        outb(DEBUG_EXIT, code as u8);
        let empty = [0u16; 5];
        asm!("lidt [{}]", "ud2", in(reg) &empty);
    }
    halt()
}
