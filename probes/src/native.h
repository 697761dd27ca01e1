/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * What is above the innermost Python frame: functions of C, C++ and Rust. Libraries keep no frame
 * pointers, so that their frames cannot be walked here; the agent does that from their unwind
 * tables. It gets the registers and the top of the stack for it, once for each stack and sort of
 * call.
 */
#pragma once

#include "arch.h"
#include "maps.h"

enum native_frames {
    NATIVE_OFF = 0,
    NATIVE_ONCE,    /* once for each stack and call that it makes */
    NATIVE_SAMPLES, /* each sample of the CPU's clock, and nothing else */
};

/* Set before the load. */
const volatile __u32 native_frames = NATIVE_OFF;

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4 << 20);
} natives SEC(".maps");

#if defined(__TARGET_ARCH_x86)
static __always_inline void native_registers(struct event_native *event, struct pt_regs *regs) {
    event->pc = regs->ip;
    event->sp = regs->sp;
    event->fp = regs->bp;
    event->lr = 0;
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline void native_registers(struct event_native *event, struct pt_regs *regs) {
    event->pc = regs->pc;
    event->sp = regs->sp;
    event->fp = regs->regs[29];
    event->lr = regs->regs[30];
}
#endif

/* Reads the next `SIZE` bytes of the stack, if so many are mapped. */
#define READ_STACK(SIZE)                                                                           \
    if (!bpf_probe_read_user(event->stack + size, (SIZE), (void *)(event->low + size)))            \
    size += (SIZE)

/* Sends registers and stack of the running thread. Not 0: there was no room. */
__attribute__((noinline)) int native_stack(__u64 id, __u32 process, __u32 call) {
    struct event_native *event;
    struct pt_regs *regs;
    __u32 size = 0;

    /* From 5.15 on. */
    if (!bpf_core_enum_value_exists(enum bpf_func_id___probe, BPF_FUNC_task_pt_regs___probe))
        return 1;
    regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
    count(NATIVE_EMITTED);
    event = bpf_ringbuf_reserve(&natives, sizeof(*event), 0);
    if (!event) {
        count(NATIVE_RING_FULL);
        return 1;
    }
    event->header.type = EVENT_NATIVE;
    event->header.process = process;
    event->header.time_ns = 0;
    event->id = id;
    event->call = call;
    native_registers(event, regs);
    event->low = event->sp - RED_ZONE;
    READ_STACK(NATIVE_STACK);
    else {
        /* It ends before: down to the last kilobyte that is mapped. */
        READ_STACK(NATIVE_STACK / 2);
        READ_STACK(NATIVE_STACK / 4);
        READ_STACK(NATIVE_STACK / 8);
        READ_STACK(NATIVE_STACK / 16);
    }
    event->size = size;
    bpf_ringbuf_submit(event, 0);
    return 0;
}

/* Tells the native part of a stack, unless what the thread does just now was told of it before: a
 * look at the registers and at one bit, where nothing is to be told. */
static __always_inline void native_part(struct site *site, __u64 stack, __u32 user) {
    __u32 call = NATIVE_SAMPLE;
    __u64 bit;

    if (native_frames == NATIVE_OFF || user == SCRATCH_UPROBE || user == SCRATCH_TOUCH ||
        !bpf_core_enum_value_exists(enum bpf_func_id___probe, BPF_FUNC_task_pt_regs___probe))
        return;
    if (native_frames == NATIVE_SAMPLES) {
        if (user == SCRATCH_SAMPLE)
            native_stack(stack, site->process, call);
        return;
    }
    if (user == SCRATCH_SYSCALL)
        call = call_number((struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf()));
    /* Two calls may share a bit: then the second one's part stays unknown. */
    bit = 1ULL << (call == NATIVE_SAMPLE ? 63 : call % 61);
    if (!(site->native & bit) && !native_stack(stack, site->process, call))
        site->native |= bit;
}
