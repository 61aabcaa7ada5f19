/* The C ABI of the Mirust runtime, called by OCaml's externals only.
 *
 * Calling: all functions belong to the one thread of execution that runs OCaml; none may be called from
 * a signal handler or another thread. Unless a function says otherwise it does not block, does not
 * allocate on the OCaml heap and runs no OCaml code, so that its external can be [@@noalloc].
 *
 * Errors: a negative result, where one is mentioned. Nothing else is reported: misuse that the types
 * allow, such as a length that is too large, is a bug of the caller with undefined results.
 *
 * Buffers: a pointer and, behind it, its length in bytes. They are not kept after the call. The pointer
 * MAY be invalid when the length is 0.
 *
 * Units: times are nanoseconds, sizes bytes.
 */

#ifndef MIRUST_H
#define MIRUST_H

/* Generated from ffi/src/abi.rs: edit that, then run `make header`. */

#include <stddef.h>
#include <stdint.h>

/* An OCaml value, as in caml/mlvalues.h. */
typedef intptr_t value;

// The version of this interface. From the first release on, it changes whenever a function or a struct in it does.
#define MIRUST_ABI_VERSION 3

// `mirust_poll` returned because OCaml has work: completions to collect, or news.
#define MIRUST_READY_FOREIGN 1

// `mirust_poll` returned because the deadline has passed.
#define MIRUST_READY_TIMER 2

// `mirust_poll` returned because a shutdown was requested.
#define MIRUST_READY_SHUTDOWN 4

// `mirust_poll` did nothing: it was re-entered from a Rust task or an event handler.
#define MIRUST_READY_NESTED 8

// Added to the level of `mirust_log`: write the line whatever level is set.
#define MIRUST_LOG_ALWAYS 16

// In `features` of a MirustNetInfo: the device completes TCP and UDP checksums of frames sent.
#define MIRUST_NET_CHECKSUM 1

// In `features`: the device segments large TCP packets over IPv4.
#define MIRUST_NET_TSO4 2

// In `features`: the device segments large TCP packets over IPv6.
#define MIRUST_NET_TSO6 4

// Result of `mirust_net_send`: no room now; MIRUST_NET_ROOM reports when there is.
#define MIRUST_NET_FULL -1

// Result of `mirust_net_send`: the frame is empty, or longer than the device can send.
#define MIRUST_NET_INVALID_LENGTH -2

// Result of `mirust_net_send`: the device is closed.
#define MIRUST_NET_DISCONNECTED -3

// In MIRUST_NET_WORD_NEWS: there may be frames; call `mirust_net_receive` to get them.
#define MIRUST_NET_FRAMES 1

// There is room again, after a frame or a reservation was refused.
#define MIRUST_NET_ROOM 2

// Payload has been sent: `mirust_net_completed` has its number.
#define MIRUST_NET_COMPLETED 4

// The link has changed: see `mirust_net_info`.
#define MIRUST_NET_LINK 8

// Many pages are lent, or several slabs are full: release views that are not in use.
#define MIRUST_NET_PRESSURE 16

// Frames are copied because so many pages are lent.
#define MIRUST_NET_SHORTAGE 32

// Index of the word with what has happened at the device: MIRUST_NET bits. OCaml sets it to 0. When something happens,
// `mirust_poll` reports MIRUST_READY_FOREIGN first.
#define MIRUST_NET_WORD_NEWS 0

// How many frames are described. OCaml sets it to 0 before it uses them; until then no others are described.
#define MIRUST_NET_WORD_COUNT 1

// How far the device got: 0 if these are all frames; 1 if there are more, for the next turn; 2 if the slab has no room
// for the next one: replace it, and ask for the rest.
#define MIRUST_NET_WORD_STATE 2

// Where the head of the next frame can be written without a call, in the bigarray of `mirust_net_heads`.
#define MIRUST_NET_WORD_HEAD 3

// How many bytes there are for it; if 0, call `mirust_net_reserve`.
#define MIRUST_NET_WORD_ROOM 4

// The first word of the first frame's description. It has four numbers: where the frame is, its length in bytes, the
// state of its checksum (0 unknown, 1 valid, 2 blank), and, for a large segment, the payload bytes of each packet that
// it stands for. Get it by `mirust_net_view` before the next frames are described. If the first number is not
// negative, it is an offset in the slab, or in the memory of `mirust_net_spare` as long as there is no slab.
#define MIRUST_NET_WORD_FRAMES 5

// The numbers that describe one frame.
#define MIRUST_NET_FRAME_FIELDS 4

// Frames that are described at a time, at most.
#define MIRUST_NET_FRAMES_MOST 256

// In `flags` of a MirustBlockInfo: the disk is read-only.
#define MIRUST_BLOCK_READ_ONLY 1

// It is a CD.
#define MIRUST_BLOCK_CDROM 2

// The disk has a cache, so that flushes are needed.
#define MIRUST_BLOCK_FLUSH 4

// Sectors can be discarded.
#define MIRUST_BLOCK_DISCARD 8

// Sectors can be discarded so that no copy remains.
#define MIRUST_BLOCK_SECURE_DISCARD 16

// What `mirust_block_submit` can ask for: fill the memory.
#define MIRUST_BLOCK_OP_READ 0

// Store the memory.
#define MIRUST_BLOCK_OP_WRITE 1

// Make all writes before this request stable.
#define MIRUST_BLOCK_OP_FLUSH 2

// Write zeros.
#define MIRUST_BLOCK_OP_ZERO 3

// Discard the sectors.
#define MIRUST_BLOCK_OP_DISCARD 4

// Discard the sectors so that no copy remains.
#define MIRUST_BLOCK_OP_SECURE_DISCARD 5

// Result of a request: sectors that the disk does not have.
#define MIRUST_BLOCK_OUT_OF_RANGE -1

// Not a whole number of the disk's sectors.
#define MIRUST_BLOCK_MISALIGNED -2

// The disk cannot be written.
#define MIRUST_BLOCK_ERROR_READ_ONLY -3

// The disk cannot do this.
#define MIRUST_BLOCK_UNSUPPORTED -4

// The disk or its medium failed.
#define MIRUST_BLOCK_IO -5

// Of a flush: the backend has vanished with unflushed writes.
#define MIRUST_BLOCK_LOST -6

// No memory for the request.
#define MIRUST_BLOCK_NO_MEMORY -7

// The disk is closed.
#define MIRUST_BLOCK_CLOSED -8

// Result of `mirust_completion_next`: there is none.
#define MIRUST_COMPLETION_NONE -1

// Result of `mirust_completion_next`: from here down it stands for a future that OCaml awaits and that has
// ended, and is this less the future's token.
#define MIRUST_COMPLETION_FUTURE -2

// How many bits of a token, which is not negative and fits into an OCaml `int`, name a slot of a table. The others
// count how often the slot was used before. (Either language makes tokens, and looks its own ones up.)
#define MIRUST_TOKEN_INDEX_BITS 24

// Index of the word with the time, in nanoseconds since boot, in the array that `mirust_turn_words` gives: when
// OCaml's part of the turn began, or when the last `mirust_turn_look` or `mirust_exchange` in it returned; up to 10 ms
// earlier where Xen emulates the time stamp counter. 0 if that may be long ago, as in code that a Rust task calls
// inside a poll: call `mirust_turn_look` then.
#define MIRUST_TURN_NOW 0

// The word that is 1 if there were completions to collect at that time, and otherwise 0.
#define MIRUST_TURN_COMPLETIONS 1

// The word with the number of tokens behind it. OCaml adds one, and Rust takes all.
#define MIRUST_TURN_WOKEN 2

// The first of the words with the tokens of the tasks that OCaml wakes: what they have waited for is worth a retry.
#define MIRUST_TURN_TOKENS 3

// How many tokens there is room for.
#define MIRUST_TURN_TOKENS_MAX 253

// What the domain poll has counted since boot.
typedef struct MirustPollStats {
    // Calls of the poll, from either language.
    uint64_t polls;
    // Times the domain gave up the processor.
    uint64_t blocks;
    // Blocks that ended before their deadline, by an event.
    uint64_t wakeups;
    // Events dispatched.
    uint64_t events;
    // Turns of Rust tasks.
    uint64_t tasks_run;
    // Timers of Rust tasks that fired.
    uint64_t timers_fired;
    // Completions that OCaml collected.
    uint64_t completions;
} MirustPollStats;

// The memory that both languages share, in bytes. Where the kernel keeps it (Unix), all is zero but
// `heap`.
typedef struct MirustMemStats {
    // Memory that the runtime manages.
    uint64_t total;
    // Free, not counting the reserve for OCaml's collector.
    uint64_t free;
    // Allocated by malloc and by Rust.
    uint64_t heap;
    // Committed by mmap, which is where the OCaml heap lives.
    uint64_t mapped;
} MirustMemStats;

// The state of a device.
typedef struct MirustNetInfo {
    // 0: down, nothing can be sent; 1: up; 2: closed for good.
    uint64_t link;
    // The address of this end, its first byte in bits 40 to 47. Zero before the first connection.
    uint64_t mac;
    // Bytes of the largest frame without the Ethernet header.
    uint64_t mtu;
    // MIRUST_NET_CHECKSUM and the like.
    uint64_t features;
} MirustNetInfo;

// What a device has counted since it was opened. A large segment is one frame.
typedef struct MirustNetStats {
    // Frames received.
    uint64_t rx_frames;
    // Bytes received.
    uint64_t rx_bytes;
    // Large segments among them.
    uint64_t rx_gso;
    // Bytes received that were copied.
    uint64_t rx_copied;
    // Received frames that were lost.
    uint64_t rx_dropped;
    // Frames sent.
    uint64_t tx_frames;
    // Bytes sent.
    uint64_t tx_bytes;
    // Large segments among them.
    uint64_t tx_gso;
    // Bytes of payload that were copied to be sent.
    uint64_t tx_copied;
    // Frames that the backend did not send.
    uint64_t tx_dropped;
    // Times a sender was refused for want of room.
    uint64_t tx_full;
    // Notifications sent: one hypercall each.
    uint64_t notifications;
    // Notifications received.
    uint64_t events;
    // System calls (Unix).
    uint64_t syscalls;
    // Pages granted to the backend.
    uint64_t grants;
    // Grants ended.
    uint64_t grant_ends;
    // Protocol violations by the peer.
    uint64_t lies;
    // Times the link came up.
    uint64_t links;
} MirustNetStats;

// The state of a disk.
typedef struct MirustBlockInfo {
    // 0: down, requests wait; 1: up; 2: closed for good. Before it was first up, the other fields mean nothing.
    uint64_t state;
    // The size, in units of 512 bytes.
    uint64_t sectors;
    // Bytes of the disk's own sectors, 512 to 4096: what requests have to be aligned to.
    uint64_t sector_size;
    // Bytes that the medium itself writes at a time.
    uint64_t physical_sector_size;
    // MIRUST_BLOCK_READ_ONLY and the like.
    uint64_t flags;
    // Granularity of discards, in bytes.
    uint64_t discard_granularity;
    // Bytes from the disk's beginning to the first such unit.
    uint64_t discard_alignment;
    // Bytes of the largest request that the disk takes in one piece. Larger ones are split.
    uint64_t transfer_max;
} MirustBlockInfo;

// What a disk has counted since it was opened.
typedef struct MirustBlockStats {
    // Successful reads.
    uint64_t reads;
    // Their bytes.
    uint64_t read_bytes;
    // Successful writes, including zeros.
    uint64_t writes;
    // Their bytes.
    uint64_t written_bytes;
    // Successful flushes.
    uint64_t flushes;
    // Successful discards.
    uint64_t discards;
    // Requests that failed.
    uint64_t errors;
    // Requests as the backend saw them, after splitting and merging.
    uint64_t requests;
    // Bytes that were copied.
    uint64_t copied;
    // Pages granted to the backend.
    uint64_t grants;
    // Notifications sent: one hypercall each. On Unix, times that requests were given to the kernel.
    uint64_t notifications;
    // Notifications received.
    uint64_t events;
    // Protocol violations by the peer.
    uint64_t lies;
    // Times the disk was connected.
    uint64_t connections;
    // Requests that were issued again on a new connection.
    uint64_t reissued;
} MirustBlockStats;

// Returns MIRUST_ABI_VERSION as the runtime was built with it.
intptr_t mirust_abi_version(void);

// Connects OCaml to the runtime. Called by the OCaml library before anything else, in the thread
// that runs OCaml; calls after the first change nothing. Returns 1 if OCaml was started by its own
// `main`, and could therefore spawn domains, and 0 otherwise.
intptr_t mirust_init(void);

// A bigarray of bytes over the words that both languages share in every turn, 64 bits each: the one with the time and
// so on. It is valid for ever. Allocates on the OCaml heap.
value mirust_turn_words(void);

// Copies the platform's name (`xen` or `unix`) to the buffer, as much of it as fits. Returns its
// length in bytes.
intptr_t mirust_platform_name(uint8_t *buffer, uintptr_t length);

// Whether the program's main function is Rust's (1) or OCaml's (0).
intptr_t mirust_rust_main(void);

// Nanoseconds since boot. Never goes back.
uint64_t mirust_time_monotonic_ns(void);

// Nanoseconds since 1970-01-01T00:00:00Z. May jump, in both directions. Good until the year 2262.
int64_t mirust_time_wall_ns(void);

// Copies the poll's counters, a MirustPollStats, to the buffer, as much of it as fits. Returns the
// struct's size in bytes.
intptr_t mirust_poll_stats(uint8_t *buffer, uintptr_t length);

// Copies the memory statistics, a MirustMemStats, to the buffer, as much of it as fits. Returns
// the struct's size in bytes.
intptr_t mirust_mem_stats(uint8_t *buffer, uintptr_t length);

// Takes the oldest completion from the queue: the token of a promise that Rust has resolved, or
// a number from MIRUST_COMPLETION_FUTURE down for a future, or MIRUST_COMPLETION_NONE.
intptr_t mirust_completion_next(void);

// Writes all bytes to the console, as they are. Returns 0.
intptr_t mirust_console_write(const uint8_t *data, uintptr_t length);

// Writes one log line: `level` from 1 (error) to 5 (trace), optionally plus MIRUST_LOG_ALWAYS; the
// source's name and the message in UTF-8, without a line end. A level above the one that is set
// writes nothing. Returns 0, or -1 for a level that does not exist.
intptr_t mirust_log(intptr_t level,
                    const uint8_t *source,
                    uintptr_t source_length,
                    const uint8_t *message,
                    uintptr_t message_length);

// Sets the level up to which both languages log: 0 (nothing) to 5 (trace). Returns 0, or -1 for a
// level that does not exist.
intptr_t mirust_log_set_level(intptr_t level);

// Copies the command line, not split, to the buffer, as much of it as fits. Returns its length in
// bytes.
intptr_t mirust_cmdline(uint8_t *buffer, uintptr_t length);

// Fills the buffer with random bytes fit for keys (Unix: the kernel's). Returns 0.
intptr_t mirust_random(uint8_t *buffer, uintptr_t length);

// The last shutdown request: 0 none, 1 poweroff, 2 reboot, 3 halt.
intptr_t mirust_shutdown_reason(void);

// Whether Rust code has asked to be told of shutdown requests (1) or not (0).
intptr_t mirust_shutdown_awaited(void);

// How much of a server's patience with a client is used up, in thousandths (`mirust::patience`). `known`: nanoseconds
// from when the client came until it last made progress; `idle`: nanoseconds since then; `answers`: how many it has
// had; `busy`: whether it is in the middle of something (1) or not (0).
intptr_t mirust_patience(intptr_t known,
                         intptr_t idle,
                         intptr_t answers,
                         intptr_t busy);

// Ends the program: a clean poweroff for code 0, otherwise a crash that reports the code. OCaml's
// `at_exit` functions do not run. Does not return.
intptr_t mirust_exit(intptr_t code);

// Ends the program as crashed, with a last message in UTF-8 and a backtrace of both languages on
// the console. Does not return.
intptr_t mirust_crash(const uint8_t *message, uintptr_t length);

// Names the functions that an OCaml exception came through, a line each on the console. For an image, in which OCaml
// itself has no source locations; nothing in a Linux process. Returns 0.
intptr_t mirust_exception_frames(const uint8_t *frames,
                                 uintptr_t count);

// Opens a network device. The name is a number on Xen (that of `device/vif/NUMBER`), perhaps with `:trusted` behind it
// if the backend may see whatever else is in the pages that payload lies in. On Unix it is that of a TAP interface,
// perhaps with `@` and an address, or `loopback:SIZE` for a device that receives what it sends, and lends frames of
// more than SIZE bytes; `alone:SIZE` for one that receives only what it sends to one station (on Xen both with the
// feature `posix`). `receive_pages` and `send_pages` limit the memory that the device takes on Xen; 0 leaves it to the
// device.
//
// Returns the device's number, or -1; the log then says why. The link may come up later.
intptr_t mirust_net_open(const uint8_t *name,
                         uintptr_t length,
                         intptr_t receive_pages,
                         intptr_t send_pages);

// Copies the device's state, a MirustNetInfo, to the buffer, as much of it as fits. Returns the
// struct's size in bytes.
intptr_t mirust_net_info(intptr_t handle, uint8_t *buffer, uintptr_t length);

// Copies the device's counters, a MirustNetStats, to the buffer, as much of it as fits. Returns
// the struct's size in bytes.
intptr_t mirust_net_stats(intptr_t handle, uint8_t *buffer, uintptr_t length);

// A bigarray of the memory that heads of frames are reserved from. It stays valid for ever.
// Allocates on the OCaml heap.
value mirust_net_heads(intptr_t handle);

// Reserves memory for the head of a frame, `length` bytes, for which there was none in MIRUST_NET_WORD_ROOM. Returns
// its offset in the bigarray of `mirust_net_heads`, or -1 if there is no room. The next call invalidates what was not
// sent.
intptr_t mirust_net_reserve(intptr_t handle,
                            uintptr_t length);

// Sends a frame: `head_length` bytes at `head`, which was reserved, and then `payload`, a
// `Cstruct.t list`. It goes out at the end of OCaml's part of the turn at the latest.
//
// `checksum_start` is 0, or the byte of the frame from which on a checksum is to be completed,
// whose field is `checksum_offset` bytes further on. `gso_size` is 0, or the payload bytes of each
// TCP segment that the frame is to be cut into.
//
// Returns 0; or a positive number by which `mirust_net_completed` returns the payload, which until
// then MUST stay unchanged and referenced; or MIRUST_NET_FULL and the like.
intptr_t mirust_net_send(intptr_t handle,
                         uintptr_t head,
                         uintptr_t head_length,
                         value payload,
                         uintptr_t checksum_start,
                         uintptr_t checksum_offset,
                         uintptr_t gso_size);

// Returns a number from `mirust_net_send` whose payload is no longer needed, or 0.
intptr_t mirust_net_completed(intptr_t handle);

// Lets frames to the group `mac` (as in MirustNetInfo) through, or with `join` 0 no longer, where
// the device filters them. Returns 0.
intptr_t mirust_net_multicast(intptr_t handle, intptr_t mac, intptr_t join);

// Closes the device, after what was sent has gone out. Returns 0.
intptr_t mirust_net_close(intptr_t handle);

// The one's complement sum (RFC 1071) of the 16-bit words of a bigarray of bytes, `length` bytes
// from `offset` on, folded to 16 bits and not complemented, with the words in network order. An
// odd last byte counts as a word with a zero byte behind it.
intptr_t mirust_checksum(value buffer, uintptr_t offset, uintptr_t length);

// A bigarray of `int` over the device's words: the one with the news and so on. It is valid for ever. Allocates on the
// OCaml heap.
value mirust_net_words(intptr_t handle);

// Makes the device's frames be copied to slabs of `size` bytes each. Returns a bigarray of as many, valid for ever:
// what frames are copied to as long as there is no slab. An empty one if there is no memory. Allocates on the OCaml
// heap.
value mirust_net_spare(intptr_t handle,
                       uintptr_t size);

// Has frames be copied to a slab that nobody uses, from now on. It is used again when OCaml has found all views of it
// dead; at most `most` are in use at a time. Returns 1; 0 if this many are, or if there is no memory: then frames are
// copied to that of `mirust_net_spare`.
intptr_t mirust_net_slab(intptr_t handle,
                         uintptr_t most);

// Whether the bytes of this bigarray are in one of the device's slabs: 1 or 0.
intptr_t mirust_net_in_slab(intptr_t handle, value v_bytes);

// Has the words describe the frames that have arrived, which MIRUST_NET_FRAMES wants to be asked for. Returns 0.
intptr_t mirust_net_receive(intptr_t handle);

// A bigarray of the `length` bytes of a frame that was described with this place, or of another part of the slab. What
// is behind the last frame that was described may change: later frames are copied there. The frame's memory goes back
// to the device when neither the bigarray nor a part of it is referenced any more. If the place is negative, call it
// once. Allocates on the OCaml heap.
value mirust_net_view(intptr_t handle,
                      intptr_t place,
                      uintptr_t length);

// Opens a disk. The name is one that a parameter `--disk=NAME:DEVICE` gives to a device, or a device:
// on Xen what the toolstack calls it (`xvda`) or its number, on Unix the path of a file or a device.
// `depth` limits the requests that the backend has at the same time; 0 leaves it to the disk.
// With `persistent` 1 the backend may keep pages mapped, and all data is copied.
//
// Returns the disk's number, or -1; the log then says why. It may be connected later.
intptr_t mirust_block_open(const uint8_t *name,
                           uintptr_t length,
                           intptr_t depth,
                           intptr_t persistent);

// Copies what is known about the disk, a MirustBlockInfo, to the buffer, as much of it as fits. Returns
// the struct's size in bytes.
intptr_t mirust_block_info(intptr_t handle,
                           uint8_t *buffer,
                           uintptr_t length);

// Copies the disk's counters, a MirustBlockStats, to the buffer, as much of it as fits. Returns the
// struct's size in bytes.
intptr_t mirust_block_stats(intptr_t handle, uint8_t *buffer, uintptr_t length);

// Completes `token` when the state or the size of the disk changes: once. Returns 0.
intptr_t mirust_block_on_change(intptr_t handle, intptr_t token);

// Submits a request: `operation` is MIRUST_BLOCK_OP_READ and the like, `sector` and `sectors` are in
// units of 512 bytes, `memory` is a `Cstruct.t list` of that many sectors in total, which is empty unless
// the request is a read or a write. Returns 0.
//
// When the request has ended, `token` completes, and `mirust_block_result` MUST be called with it. The
// memory MUST stay referenced until then, and MUST NOT be used. Whole pages of it are not copied.
intptr_t mirust_block_submit(intptr_t handle,
                             intptr_t operation,
                             intptr_t sector,
                             intptr_t sectors,
                             value memory,
                             intptr_t token);

// The result of the request with this token: 0, or MIRUST_BLOCK_OUT_OF_RANGE and the like. Call it once,
// when the token has completed.
intptr_t mirust_block_result(intptr_t token);

// How many bytes of a bigarray of bytes lie before its first whole page.
intptr_t mirust_block_align(value buffer);

// Closes the disk. Returns 0.
intptr_t mirust_block_close(intptr_t handle);

// Puts the time into the word MIRUST_TURN_NOW, as that describes it. Returns 0.
intptr_t mirust_turn_look(void);

// Ends OCaml's part of a turn, as `mirust_poll` does first: wakes the tasks whose tokens are there, and sends what is
// waiting to be sent. For when no poll follows, and to make room for more tokens. Returns 0. Wakers may run any code,
// so this is not for `[@@noalloc]`.
intptr_t mirust_turn_end(void);

// Wakes the tasks whose tokens are there, and runs up to `most` of the ready Rust tasks, within a time budget: so what
// OCaml has made ready in its part of the turn is answered in the same turn. It handles no events and fires no timers.
// Returns how many more tasks were ready; 0 if time ran out first, and inside a poll: the rest run in the next poll.
//
// For OCaml's loop, in the middle of its part: if the tasks give OCaml something to do, nothing reports that, and
// OCaml has to look for it afterwards. They may run OCaml code, so this is not for `[@@noalloc]`.
intptr_t mirust_exchange(intptr_t most);

// Handles events, fires timers and runs Rust tasks until OCaml has something to do or
// `deadline_ns` (nanoseconds since boot; 2^62-1 and above mean never) has passed; blocks only
// while neither language has anything to do. With a deadline in the past it never blocks. Returns MIRUST_READY bits.
//
// First, what OCaml has sent in its part of the turn goes out. At the end, the words are brought up to date.
//
// Rust tasks run inside and may run OCaml code, so this is not for `[@@noalloc]`.
intptr_t mirust_poll(uint64_t deadline_ns);

#endif  /* MIRUST_H */
