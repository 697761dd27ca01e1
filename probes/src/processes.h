/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* Lives of traced processes: fork, exec, exit. */
#pragma once

#include "children.h"
#include "implicit_close.h"
#include "syscalls.h"

static __always_inline void send_process(const struct target *target, __u32 tgid, __u32 change,
                                         __u32 parent) {
    struct event_process event = {};

    event.header.type = EVENT_PROCESS;
    event.header.process = target->process;
    event.header.time_ns = bpf_ktime_get_ns();
    event.tgid = tgid;
    event.change = change;
    event.parent = parent;
    count(PROCESS_EMITTED);
    if (send(&event, sizeof(event)))
        count(PROCESS_RING_FULL);
}

/* A number that names a process or an address space; the agent's own have these low bits set. */
static __always_inline __u32 new_number(struct scratch *s) {
    return ++s->sequence << 12 | (bpf_get_smp_processor_id() % 0xfff);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child) {
    __u32 parent_tgid = parent->tgid, child_tgid = child->tgid;
    struct target *target, *copy;
    struct scratch *s;
    struct site none = {};
    __u64 key;

    target = bpf_map_lookup_elem(&targets, &parent_tgid);
    if (parent_tgid == child_tgid) {
        if (target)
            thread_born(target, child);
        return 0;
    }
    child_born(target, parent_tgid, child_tgid);
    if (!target || !target->follow)
        return 0;
    s = scratch_of(SCRATCH_SYSCALL);
    if (!s)
        return 0;
    copy = &s->target;
    __builtin_memcpy(copy, target, sizeof(*copy));
    copy->process = copy->space = new_number(s);
    copy->seed = reconcile_pass + 1;
    copy->warned = copy->missed = copy->brk = 0;
    key = none.process = copy->process;
    none.sent = 1;
    bpf_map_update_elem(&sites, &key, &none, BPF_ANY);
    if (bpf_map_update_elem(&targets, &child_tgid, copy, BPF_ANY)) {
        count(PROCESS_EMITTED);
        count(PROCESS_TARGETS_FULL);
        return 0;
    }
    send_process(copy, child_tgid, PROCESS_FORKED, target->process);
    return 0;
}

/* The event of a call that has no registers to take arguments from. */
static __always_inline void trace_exec(struct call *c) {
    struct event_descriptor *event = &c->s->call;

    __builtin_memset(event, 0, __builtin_offsetof(struct event_descriptor, path));
    event->header.type = EVENT_DESCRIPTOR;
    event->header.process = c->target->process;
    event->header.time_ns = c->now;
    event->tgid = c->tgid;
    event->tid = c->tid;
    event->call = c->number;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task) {
    __u32 tgid = task->tgid;
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);
    struct scratch *s = scratch_of(SCRATCH_SYSCALL);
    struct call c = {};

    child_executed(task, tgid);
    if (!target || !s)
        return 0;
    /* The kernel has closed what was marked close-on-exec. */
    c.s = s;
    c.target = target;
    c.task = task;
    c.now = bpf_ktime_get_ns();
    c.tgid = tgid;
    c.tid = bpf_get_current_pid_tgid();
    c.number = execve_number;
    s->stack_id = 0;
    s->stack_status = STACK_NO_THREAD_STATE;
    if (trace_calls)
        trace_exec(&c);
    target->warned = 0; /* no finaliser closes here */
    close_range(&c, 0, ~0U);
    /* Another program: what was known of its memory is void until the agent has looked. */
    target->layout.ready = 0;
    target->space = new_number(s);
    target->brk = 0;
    send_process(target, tgid, PROCESS_EXECUTED, 0);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task) {
    __u32 tgid = task->tgid, tid = task->pid;
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);
    struct warning *warning;

    if (!task->signal->live.counter)
        child_ended(task, tgid);
    if (!target)
        return 0;
    thread_ended(task, target->process);
    warning = bpf_map_lookup_elem(&warnings, &tid);
    if (warning) {
        account_unclosed(warning, 0, 0, warning->time_ns);
        bpf_map_delete_elem(&warnings, &tid);
        __sync_fetch_and_add(&target->warned, -1);
    }
    if (task->signal->live.counter)
        return 0;
    send_process(target, tgid, PROCESS_EXITED, 0);
    bpf_map_delete_elem(&targets, &tgid);
    return 0;
}
