/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* The maps, the configuration and the counters. */
#pragma once

#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* Set before the load; what they switch off is not even in the loaded program. */
const volatile __u8 syscall_class[MAX_SYSCALLS] = {};
const volatile __u8 syscall_wait[MAX_SYSCALLS] = {};
const volatile bool trace_calls = false;
/* Nothing but descriptors is looked at. */
const volatile bool descriptors_only = false;
/* Calls that change no descriptor too. */
const volatile bool trace_others = false;
const volatile __u32 ring_wakeup_bytes = 0;
/* Calls of at least this long get their stack. */
const volatile __u64 slow_ns = 10000000;
/* An event loop that does not come back to its selector for this long stands still. */
const volatile __u64 stall_ns = 50000000;
/* Between two samples of the CPU's clock. */
const volatile __u64 sample_ns = 1000000000 / 99;
/* One of so many page faults is looked at. */
const volatile __u64 touch_faults = 1;
/* Calls of the classes that hardly ever wait are left out of the histograms below this. */
const volatile __u64 quick_ns = 65536;
/* The number of execve, the call by which descriptors end that are to be closed on exec. */
const volatile __u32 execve_number = 0;
/* Numbers of calls that need a look at their arguments. */
const volatile __u32 sigreturn_number = ~0U, fcntl_number = ~0U, newfstatat_number = ~0U,
                     poll_number = ~0U, ppoll_number = ~0U, flock_number = ~0U, brk_number = ~0U,
                     mmap_number = ~0U, munmap_number = ~0U, mremap_number = ~0U;
/* Descriptors of numbers below this leave their entry behind for the next one of their number,
 * which is cheaper than to take it out and to put another in. */
const volatile __u32 kept_below = 0;
/* Calls whose argument 3 is the position in the file. */
const volatile __u8 syscall_positioned[MAX_SYSCALLS] = {};

/* The number of the reconciliation that runs. */
__u32 reconcile_pass = 0;

/* Changes whenever the agent begins or ends to watch a process. */
__u32 target_generation = 0;

/* A walk on its way. */
struct walk {
    struct layout layout;
    __u64 frame; /* the next one */
    __u64 hash;
    __u64 low;  /* address of the window's first byte */
    __u64 size; /* bytes in the window */
    __u32 process;
    __u32 space;
    __u32 status;
    __u32 pad;
    __u8 window[4096 + 256 + 8];
    __u64 frames[MAX_FRAMES]; /* the addresses of those that were met */
};

/* So much of an inode is read at once. */
#define INODE_HEAD 128

/* Work space of one run of a program: too large for its stack. */
struct scratch {
    __u32 busy;
    __u32 pad;
    __u64 sequence;
    struct walk walk;
    struct event_stack stack;
    struct event_code code;
    struct event_object object;
    /* of the call */
    struct event_descriptor call;
    struct descriptor born;
    struct connecting connecting;
    struct site site;
    struct code_key code_key;
    struct code_life code_life;
    struct target target;
    struct warning warning;
    __u8 inode[INODE_HEAD];
    __u64 stack_id;
    __u32 stack_status;
    __u32 walked;
    __u32 taken; /* as in struct thread */
    __u32 taken_mode;
    __u32 told;   /* an event of the call was sent (trace) */
    __u32 opens;  /* a descriptor was made, which the walk books at the site that it finds */
    __u32 booked; /* it has done so */
    __u32 number;
    __u32 tid;
    __u32 pad2;
    __u64 now;
};

/* A uprobe can be preempted by a syscall's program, both be interrupted by a sample of the clock,
 * and a page fault come in between: each has a work space of its own. */
enum scratch_user { SCRATCH_SYSCALL = 0, SCRATCH_UPROBE, SCRATCH_SAMPLE, SCRATCH_TOUCH, SCRATCHES };

/* Whether the thread was met wherever it was, a half-made frame included, and not at a call. */
static __always_inline bool is_anywhere(__u32 user) {
    return user == SCRATCH_SAMPLE || user == SCRATCH_TOUCH;
}

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SCRATCHES);
    __type(key, __u32);
    __type(value, struct scratch);
} scratches SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, struct target);
} targets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, struct descriptor_key);
    __type(value, struct descriptor);
} descriptors SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, __u64);
    __type(value, struct site);
} sites SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, struct code_key);
    __type(value, struct code_life);
} codes SEC(".maps");

/* Not a map of its own: each frame of each walk looks here. */
struct code_cached code_cache[CACHE_SIZE];

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, struct warning);
} warnings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct unclosed_key);
    __type(value, struct unclosed);
} unclosed_pairs SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct thread);
} threads SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 32768);
    __type(key, struct act_key);
    __type(value, struct act_sum);
} acts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u64);
    __type(value, struct object_life);
} objects SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct file_key);
    __type(value, struct file_state);
} files SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __u32);
    __type(value, struct child);
} children SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct mapping_key);
    __type(value, struct mapping);
} mappings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct wait_key);
    __type(value, struct wait_sum);
} waits SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u64);
    __type(value, struct connecting);
} connecting SEC(".maps");

/* By address space. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, struct asyncio);
} asyncios SEC(".maps");

/* By address space. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, struct trio);
} trios SEC(".maps");

/* Tasks that were described. Not in `objects`: a sample of the CPU may only write to what is
 * allocated beforehand (before 6.1). */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u64);
    __type(value, struct object_life);
} task_names SEC(".maps");

/* Zeros, from which entries begin that would take too much of the stack: up to Linux 6.12 the
 * functions of one chain share its 512 bytes. Nobody writes to them. */
struct zeros {
    __u8 bytes[sizeof(struct wait_sum)];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct zeros);
} zeros SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, COUNTERS);
    __type(key, __u32);
    __type(value, __u64);
} counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4 << 20);
} events SEC(".maps");

static __always_inline __u32 origin_of(__u32 origin) { return origin & ORIGIN_MASK; }

/* The same birth of an entry in another state. */
static __always_inline __u32 turned(__u32 origin, __u32 state) {
    return (origin & ~ORIGIN_MASK) | state;
}

static __always_inline bool is_living(const struct descriptor *entry) {
    return origin_of(entry->origin) < ORIGIN_CLOSED;
}

/* The ledger's entry of a descriptor, or NULL. */
static __always_inline struct descriptor *living(const struct descriptor_key *key) {
    struct descriptor *entry = bpf_map_lookup_elem(&descriptors, key);

    return entry && is_living(entry) ? entry : 0;
}

/* Atomic, because a uprobe's program may be moved off in the middle. */
static __always_inline void count(__u32 counter) {
    __u64 *value = bpf_map_lookup_elem(&counters, &counter);

    if (value)
        __sync_fetch_and_add(value, 1);
}

/* Counts what only programs count that nothing else of ours interrupts to count the same. */
static __always_inline void count_alone(__u32 counter) {
    __u64 *value = bpf_map_lookup_elem(&counters, &counter);

    if (value)
        *value += 1;
}

static __always_inline struct scratch *scratch_of(__u32 user) {
    return bpf_map_lookup_elem(&scratches, &user);
}

/* Makes the entry of `key`, all zeros, and returns it or what another CPU made of it meanwhile;
 * NULL where there is no room. */
static __always_inline void *begun(void *map, const void *key) {
    __u32 only = 0;
    const struct zeros *from = bpf_map_lookup_elem(&zeros, &only);

    if (from)
        bpf_map_update_elem(map, key, from, BPF_NOEXIST);
    return bpf_map_lookup_elem(map, key);
}

/*
 * Sends an event. With `ring_wakeup_bytes` the agent is woken only when that much waits: it looks
 * by itself often enough, and a wake-up per event would be paid by the target.
 */
static __always_inline long send(void *event, __u64 size) {
    __u64 flags = 0;

    if (ring_wakeup_bytes)
        flags = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > ring_wakeup_bytes
                    ? BPF_RB_FORCE_WAKEUP
                    : BPF_RB_NO_WAKEUP;
    return bpf_ringbuf_output(&events, event, size, flags);
}
