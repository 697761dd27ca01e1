/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Processes and threads that traced ones make, whatever they run: by the stack that made them, from
 * the fork through each exec to the exit, and on until the parent has reaped them. Descendants are
 * laid at the door of the stack that made the first of them.
 */
#pragma once

#include "call.h"

#define WAIT_STATUS 0xffff
#define ARGV_BYTES  1024

/* In a trace of more than descriptors each of its changes travels. */
static __always_inline void tell_child(const struct child *child, __u32 tgid, __u32 change,
                                       __u64 now) {
    struct event_child event = {};

    if (!trace_others)
        return;
    event.header.type = EVENT_CHILD;
    event.header.process = child->process;
    event.header.time_ns = now;
    event.stack = child->stack;
    event.command = child->command;
    event.born_ns = child->born_ns;
    event.tgid = tgid;
    event.parent = child->parent;
    event.change = change;
    event.status = child->status;
    count(PROCESS_EMITTED);
    if (send(&event, sizeof(event)))
        count(PROCESS_RING_FULL);
}

/* A child, or a child's child. The walk is of the running thread: the one that forks. */
static __always_inline void child_born(struct target *target, __u32 parent, __u32 tgid) {
    struct child *maker = bpf_map_lookup_elem(&children, &parent), child = {};
    struct scratch *s = descriptors_only ? 0 : scratch_of(SCRATCH_SYSCALL);
    struct act_sum *sum;

    if (!s)
        return;
    child.born_ns = bpf_ktime_get_ns();
    child.parent = parent;
    if (target) {
        child.process = target->process;
        child.stack = stack_of(s, target, parent, SCRATCH_SYSCALL);
    } else {
        if (!maker)
            return;
        child.process = maker->process;
        child.stack = maker->stack;
        child.command = maker->command;
        child.depth = maker->depth + 1;
    }
    sum = act_sum(child.process, child.stack, ACT_SPAWN, 0, child.depth != 0, child.born_ns);
    (void)sum;
    if (bpf_map_update_elem(&children, &tgid, &child, BPF_ANY))
        count(CHILD_FULL);
    tell_child(&child, tgid, CHILD_BORN, child.born_ns);
}

static __always_inline void thread_born(struct target *target, struct task_struct *task) {
    struct scratch *s = descriptors_only ? 0 : scratch_of(SCRATCH_SYSCALL);
    struct thread *thread;
    __u64 stack;

    if (!s)
        return;
    stack = stack_of(s, target, task->tgid, SCRATCH_SYSCALL);
    act_sum(target->process, stack, ACT_THREAD, 0, 0, bpf_ktime_get_ns());
    thread = thread_of(task, true);
    if (thread) {
        thread->started_by = stack;
        thread->process = target->process;
    }
}

static __always_inline void thread_ended(struct task_struct *task, __u32 process) {
    struct thread *thread = thread_of(task, false);

    if (thread && thread->started_by && thread->process == process)
        act_sum(process, thread->started_by, ACT_THREAD_END, 0, 0, bpf_ktime_get_ns());
}

/* What it runs now: its argv, as the kernel has laid it out for the new program. */
static __always_inline void child_executed(struct task_struct *task, __u32 tgid) {
    struct child *child = bpf_map_lookup_elem(&children, &tgid);
    struct scratch *s = scratch_of(SCRATCH_SYSCALL);
    __u64 from, size, now;

    if (!child || !s)
        return;
    from = BPF_CORE_READ(task, mm, arg_start);
    size = BPF_CORE_READ(task, mm, arg_end) - from;
    s->object.cut = size > ARGV_BYTES;
    if (size > ARGV_BYTES)
        size = ARGV_BYTES;
    barrier_var(size);
    if (size > ARGV_BYTES || bpf_probe_read_user(s->object.data, size, (void *)from))
        size = 0;
    child->command = bytes_object(child->process, OBJECT_COMMAND, size);
    now = bpf_ktime_get_ns();
    act_sum(child->process, child->stack, ACT_EXEC, child->command, child->depth != 0, now);
    tell_child(child, tgid, CHILD_EXECUTED, now);
}

/* The last thread of a process is gone; it stays until it is reaped. */
static __always_inline void child_ended(struct task_struct *task, __u32 tgid) {
    struct child *child = bpf_map_lookup_elem(&children, &tgid);
    struct act_sum *sum;

    if (!child || child->ended_ns)
        return;
    child->ended_ns = bpf_ktime_get_ns();
    child->cpu_ns =
        BPF_CORE_READ(task, signal, sum_sched_runtime) + BPF_CORE_READ(task, se.sum_exec_runtime);
    child->status = BPF_CORE_READ(task, group_leader, exit_code) & WAIT_STATUS;
    tell_child(child, tgid, CHILD_ENDED, child->ended_ns);
    sum = act_sum(child->process, child->stack, ACT_CHILD, child->command, child->depth != 0,
                  child->ended_ns);
    if (!sum)
        return;
    act_add(sum, child->cpu_ns, child->ended_ns - child->born_ns);
    if (child->status)
        __sync_fetch_and_add(&sum->failed, 1);
}

SEC("tp_btf/sched_process_free")
int BPF_PROG(process_reaped, struct task_struct *task) {
    __u32 tgid = task->tgid, pid = task->pid;
    struct child *child;

    if (tgid != pid)
        return 0;
    child = bpf_map_lookup_elem(&children, &tgid);
    if (child && child->ended_ns) /* else another has its pid by now */
        bpf_map_delete_elem(&children, &tgid);
    return 0;
}
