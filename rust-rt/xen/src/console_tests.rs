//! The console against a daemon that reads, stops, and lies.

use super::*;
use crate::{
    fake::{World, tsc, world},
    testing::{poll_once, run, shared_page},
    wire::DomId,
};
use alloc::{boxed::Box, format};

/// Bytes that wait for the daemon here.
const BACKLOG: usize = 16 * 1024;

struct Rig {
    console: &'static Console,
    peer: SharedPage,
    world: World,
    out: Consumer,
    input: Producer,
}

fn rig() -> Rig {
    let world = world();
    let (page, peer) = shared_page();
    let channel = world.events.alloc_unbound(DomId::DOM0).unwrap();
    let console = Console::new(world.xen, world.info, world.clock, page, channel, BACKLOG);
    let out = Consumer::attach(&peer, CONSOLE_OUT);
    let input = Producer::attach(&peer, CONSOLE_IN);
    Rig { console: Box::leak(Box::new(console)), peer, world, out, input }
}

impl Rig {
    /// What the daemon reads in one go.
    fn read(&mut self) -> Vec<u8> {
        let mut bytes = [0; 2048];
        let n = self.out.pull(&self.peer, &mut bytes).unwrap();
        bytes[..n].to_vec()
    }

    fn event(&self) {
        self.world.xen.raise(self.console.channel.port());
        self.world.events.dispatch();
    }
}

#[test]
fn text_arrives_with_carriage_returns_and_a_notification() {
    let mut rig = rig();
    rig.console.write(b"hello\nworld");
    assert_eq!(rig.read(), b"hello\r\nworld");
    assert_eq!(rig.world.xen.take_sent(), [rig.console.channel.port()]);
}

#[test]
fn what_does_not_fit_follows_when_the_daemon_makes_room() {
    let mut rig = rig();
    let text: Vec<u8> = (0..9000).map(|i| b'a' + (i % 26) as u8).collect();
    rig.console.write(&text);
    let mut driver = Box::pin(rig.console.run());
    let mut received = rig.read();
    assert_eq!(received.len(), 2048);
    while received.len() < text.len() {
        rig.event();
        assert!(poll_once(&mut driver).is_pending());
        received.extend(rig.read());
    }
    assert_eq!(received, text);
}

#[test]
fn silent_daemon_costs_no_time_and_the_newest_output_is_kept() {
    let mut rig = rig();
    let start = tsc();
    for i in 0..5_000 {
        rig.console.write(format!("line {i}\n").as_bytes());
    }
    assert_eq!(tsc(), start, "it waited");
    let mut received = Vec::new();
    let mut driver = Box::pin(rig.console.run());
    for _ in 0..20 {
        received.extend(rig.read());
        rig.event();
        let _ = poll_once(&mut driver);
    }
    let text = alloc::string::String::from_utf8(received).unwrap();
    assert!(text.starts_with("line 0\r\n"), "what the ring held");
    assert!(text.ends_with("line 4999\r\n"));
    // The note is where the gap is, says its length, and is followed by a whole line.
    let (before, after) = text.split_once("\r\n[").unwrap();
    let (lost, after) = after.split_once(" bytes of output lost]\r\n").unwrap();
    let written: usize = (0..5_000).map(|i| format!("line {i}\r\n").len()).sum();
    assert_eq!(before.len() + lost.parse::<usize>().unwrap() + after.len(), written);
    assert!(after.starts_with("line ") && before.len() <= CONSOLE_OUT.capacity as usize);
}

#[test]
fn daemon_that_reads_now_and_then_gets_what_there_is_room_for() {
    let mut rig = rig();
    let (start, mut received) = (tsc(), Vec::new());
    for i in 0..20_000 {
        rig.console.write(format!("line {i}\n").as_bytes());
        if i % 400 == 0 {
            received.extend(rig.read());
        }
    }
    assert_eq!(tsc(), start, "it waited");
    let text = alloc::string::String::from_utf8(received).unwrap();
    assert!(text.matches("bytes of output lost]").count() > 1, "each gap has its note");
    // A line that the gap begins in has lost its end.
    let pieces: Vec<&str> = text.split("\r\n").collect();
    let whole = pieces.windows(2).filter(|two| !two[1].starts_with('[')).map(|two| two[0]);
    let lines: Vec<u32> =
        whole.filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect();
    assert!(lines.len() > 500 && lines.windows(2).all(|two| two[0] < two[1]));
}

#[test]
fn drain_waits_for_the_daemon_but_not_for_ever() {
    let mut rig = rig();
    rig.console.write(b"last words");
    let start = tsc();
    rig.console.drain();
    assert_eq!(tsc() - start, PATIENCE_NS);
    assert_eq!(rig.read(), b"last words");
    rig.console.drain();
    assert_eq!(tsc() - start, PATIENCE_NS);
}

#[test]
fn waiting_does_not_swallow_the_event_for_input() {
    let rig = rig();
    rig.console.write(b"x");
    rig.world.xen.raise(rig.console.channel.port());
    rig.console.drain();
    assert_eq!(rig.world.events.dispatch(), 1);
}

#[test]
fn lines_are_read_whole() {
    let mut rig = rig();
    let mut driver = Box::pin(rig.console.run());
    let mut line = Box::pin(rig.console.read_line());
    assert!(poll_once(&mut line).is_pending());
    for piece in [&b"he"[..], b"llo\rrest"] {
        assert!(poll_once(&mut line).is_pending());
        rig.input.push(&rig.peer, piece).unwrap();
        rig.event();
        let _ = poll_once(&mut driver);
    }
    assert_eq!(run(line, || ()), b"hello");
    rig.input.push(&rig.peer, b"\n").unwrap();
    rig.event();
    let _ = poll_once(&mut driver);
    assert_eq!(run(rig.console.read_line(), || ()), b"rest");
}

#[test]
fn input_without_an_end_is_cut_at_the_size_of_the_buffer() {
    let mut rig = rig();
    let mut driver = Box::pin(rig.console.run());
    for _ in 0..5 {
        let _ = rig.input.push(&rig.peer, &[b'x'; 1024]);
        rig.event();
        let _ = poll_once(&mut driver);
    }
    assert_eq!(run(rig.console.read_line(), || ()).len(), INPUT);
}

#[test]
fn what_the_buffer_had_no_room_for_is_read_without_another_event() {
    let mut rig = rig();
    let mut driver = Box::pin(rig.console.run());
    let lines: Vec<u8> = (0..500).flat_map(|i| format!("line {i:03}\n").into_bytes()).collect();
    for piece in lines.chunks(1000) {
        assert_eq!(rig.input.push(&rig.peer, piece), Ok(piece.len()));
        rig.event();
        let _ = poll_once(&mut driver);
    }
    for i in 0..500 {
        let mut line = Box::pin(rig.console.read_line());
        let read = run(&mut line, || {
            rig.world.events.dispatch();
            let _ = poll_once(&mut driver);
        });
        assert_eq!(read, format!("line {i:03}").into_bytes());
    }
}

#[test]
fn impossible_index_sends_output_to_xens_log() {
    let rig = rig();
    rig.peer.store_u32(CONSOLE_OUT.cons, 99);
    rig.console.write(b"one\n");
    rig.console.write(&[b'y'; BACKLOG + 1]);
    assert!(!rig.world.xen.take_log().is_empty());
    rig.console.drain();
}

#[test]
fn write_from_inside_the_console_goes_to_xens_log() {
    let rig = rig();
    let _guard = rig.console.inner.lock();
    rig.console.write(b"fault\n");
    assert_eq!(rig.world.xen.take_log(), b"fault\n");
}
