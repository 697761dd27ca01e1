/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* One syscall of a traced process, seen at its exit: the registers still hold the arguments there.
 */
#pragma once

#include "waits.h"

#define S_IFMT   0170000
#define S_IFREG  0100000
#define S_IFSOCK 0140000

/* One call on its way through the functions below. */
struct call {
    struct scratch *s;
    struct target *target;
    struct task_struct *task;
    struct thread *thread; /* NULL where its beginning was not seen */
    __u64 now;             /* 0 at a close that is not timed */
    __u64 ns;              /* since it began; 0: not seen */
    __u64 queued_ns;       /* of these, the thread waited for a CPU */
    __u32 tgid;
    __u32 tid;
    __u32 number;
    __u32 wait;  /* enum wait_class */
    __u32 asked; /* its descriptor had sent something that was not answered yet */
    __u32 pad;
};

/* Tells of a call in a trace. Global, because every way through the programs leads here. */
__attribute__((noinline)) int tell_change(__s32 fd, __u32 change, __u32 mode) {
    struct scratch *s = scratch_of(SCRATCH_SYSCALL);
    __u64 size;

    if (!s)
        return 0;
    size = s->call.path_size;
    s->told = 1;
    s->call.fd = fd;
    s->call.change = change;
    s->call.mode = mode;
    s->call.stack = s->stack_id;
    s->call.stack_status = s->stack_status;
    count(DESCRIPTOR_EMITTED);
    if (size > PATH_MAX)
        size = PATH_MAX;
    if (send(&s->call, __builtin_offsetof(struct event_descriptor, path) + size))
        count(DESCRIPTOR_RING_FULL);
    return 0;
}

/* Walks at most once a call. */
static __always_inline void walk_once(struct call *c) {
    struct scratch *s = c->s;

    if (s->walked)
        return;
    s->walked = 1;
    s->now = c->now;
    s->number = c->number;
    s->tid = c->tid;
    s->stack_id = stack_of(s, c->target, c->tgid, SCRATCH_SYSCALL);
}

/* Walks for a call that has made one descriptor. */
static __always_inline void walk_opening(struct call *c) {
    c->s->opens = 1;
    walk_once(c);
    c->s->opens = 0; /* other programs walk in this work space, too */
}
