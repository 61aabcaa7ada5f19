/* The C ABI of the Mirust runtime, as OCaml's externals (and nobody else) call it.
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

// The version of this interface. It changes whenever a function or a struct in it does.
#define MIRUST_ABI_VERSION 1

// `mirust_poll` returned because OCaml has work: completions to collect, or news.
#define MIRUST_READY_FOREIGN 1

// `mirust_poll` returned because the deadline has passed.
#define MIRUST_READY_TIMER 2

// `mirust_poll` returned because somebody asked for the domain's end.
#define MIRUST_READY_SHUTDOWN 4

// `mirust_poll` did nothing: it was called out of itself, by a Rust task's callback.
#define MIRUST_READY_NESTED 8

// Added to the level of `mirust_log`: the line is written whatever the level is set to.
#define MIRUST_LOG_ALWAYS 16

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

// The memory that both languages share, in bytes. All zero where the kernel keeps it (Unix).
typedef struct MirustMemStats {
    // Memory that the runtime manages.
    uint64_t total;
    // Of that, in page frames that nobody has.
    uint64_t free;
    // Allocated by malloc and by Rust.
    uint64_t heap;
    // Committed by mmap, which is where the OCaml heap lives.
    uint64_t mapped;
} MirustMemStats;

// Returns MIRUST_ABI_VERSION as the runtime was built with it.
intptr_t mirust_abi_version(void);

// Connects OCaml to the runtime. Called by the OCaml library before anything else, in the thread
// that runs OCaml; calls after the first change nothing. Returns 0.
intptr_t mirust_init(void);

// Copies the platform's name (`xen` or `unix`) to the buffer, as much of it as fits. Returns its
// length in bytes.
intptr_t mirust_platform_name(uint8_t *buffer, uintptr_t length);

// Whether the program's main function is Rust's (1) or OCaml's (0).
intptr_t mirust_rust_main(void);

// Nanoseconds since boot. Never goes back.
uint64_t mirust_time_monotonic_ns(void);

// Nanoseconds since 1970-01-01T00:00:00Z. May jump, in both directions. Good until the year 2262.
int64_t mirust_time_wall_ns(void);

// Handles events, fires timers and runs Rust tasks until OCaml has something to do or
// `deadline_ns` (nanoseconds since boot) has passed; blocks only while nobody has. With a deadline
// in the past it never blocks. Returns MIRUST_READY bits.
//
// Rust tasks run inside and may run OCaml code, so this is not for `[@@noalloc]`.
intptr_t mirust_poll(uint64_t deadline_ns);

// Copies the poll's counters, a MirustPollStats, to the buffer, as much of it as fits. Returns the
// struct's size in bytes.
intptr_t mirust_poll_stats(uint8_t *buffer, uintptr_t length);

// Copies the memory statistics, a MirustMemStats, to the buffer, as much of it as fits. Returns
// the struct's size in bytes.
intptr_t mirust_mem_stats(uint8_t *buffer, uintptr_t length);

// Takes the oldest completion out of the queue: the token of a promise that Rust has resolved.
// Returns -1 when there is none.
intptr_t mirust_completion_next(void);

// Writes all bytes to the console, as they are. Returns 0.
intptr_t mirust_console_write(const uint8_t *data, uintptr_t length);

// Writes one log line: `level` from 1 (error) to 5 (trace), perhaps with MIRUST_LOG_ALWAYS; the
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

// Fills the buffer with random bytes fit for keys, from the processor's generator (Unix: the
// kernel's). Returns 0, or -1 when there is none or it failed; the buffer is then not to be used.
intptr_t mirust_random(uint8_t *buffer, uintptr_t length);

// Who asked for the domain's end last: 0 nobody, 1 poweroff, 2 reboot, 3 halt.
intptr_t mirust_shutdown_reason(void);

// Whether Rust code waits for such a request (1) or has never asked to be told (0).
intptr_t mirust_shutdown_awaited(void);

// Ends the program: a clean poweroff for code 0, a crash that says the code otherwise. OCaml's
// `at_exit` functions do not run. Does not return.
intptr_t mirust_exit(intptr_t code);

// Ends the program as crashed, with a last message in UTF-8 and a backtrace of both languages on
// the console. Does not return.
intptr_t mirust_crash(const uint8_t *message, uintptr_t length);

#endif  /* MIRUST_H */
