/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Where an architecture keeps a syscall's number and arguments, and the thread pointer. On both
 * architectures the argument registers still hold the arguments when the call returns, so that one
 * program at sys_exit sees the arguments and the result.
 */
#pragma once

#include "kernel.h"
#include <bpf/bpf_helpers.h>

#if defined(__TARGET_ARCH_x86)
/* TS_COMPAT: the call came through int 0x80 and its number is of the i386 table. */
#define STATUS_COMPAT 2

static __always_inline __u64 call_number(struct pt_regs *regs) { return regs->orig_ax; }
static __always_inline __u64 call_argument(struct pt_regs *regs, int i) {
    switch (i) {
    case 0:
        return regs->di;
    case 1:
        return regs->si;
    case 2:
        return regs->dx;
    case 3:
        return regs->r10;
    case 4:
        return regs->r8;
    default:
        return regs->r9;
    }
}
/* Of a function of user space: one of the first four. */
static __always_inline __u64 function_argument(struct pt_regs *regs, int i) {
    return i == 0 ? regs->di : i == 1 ? regs->si : i == 2 ? regs->dx : regs->cx;
}
static __always_inline bool is_compat(struct task_struct *task) {
    return task->thread_info.status & STATUS_COMPAT;
}
static __always_inline __u64 thread_pointer(struct task_struct *task) {
    return task->thread.fsbase;
}
#elif defined(__TARGET_ARCH_arm64)
/* TIF_32BIT */
#define FLAG_COMPAT (1UL << 22)

static __always_inline __u64 call_number(struct pt_regs *regs) { return (__u32)regs->syscallno; }
static __always_inline __u64 call_argument(struct pt_regs *regs, int i) {
    return i == 0 ? regs->orig_x0 : regs->regs[i];
}
static __always_inline __u64 function_argument(struct pt_regs *regs, int i) {
    return regs->regs[i];
}
static __always_inline bool is_compat(struct task_struct *task) {
    return task->thread_info.flags & FLAG_COMPAT;
}
static __always_inline __u64 thread_pointer(struct task_struct *task) {
    return task->thread.uw.tp_value;
}
#endif
