/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Where threads compute (a sample of the CPU's clock), where they first touch memory (a sample of
 * the page faults), and where they wait outside of a syscall (a page that has to be read, seen by
 * the scheduler).
 */
#pragma once

#include "call.h"
#include "memory.h"
#include "task_name.h"

SEC("perf_event")
int sample(void *context) {
    struct task_struct *task = bpf_get_current_task_btf();
    __u32 tgid = bpf_get_current_pid_tgid() >> 32;
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);
    struct scratch *s = scratch_of(SCRATCH_SAMPLE);
    struct thread *thread;
    __u64 stack, now;

    if (!target || !s)
        return 0;
    now = bpf_ktime_get_ns();
    stack = stack_of(s, target, tgid, SCRATCH_SAMPLE);
    act_sum(target->process, stack, ACT_ON_CPU, 0, 0, now);
    thread = thread_of(task, false);
    if (!thread)
        return 0;
    if (turn_spent(&thread->loop, stack, sample_ns, now) &&
        now - thread->loop.since_ns >= stall_ns / 2)
        thread->loop_task = running_task(tgid, SCRATCH_SAMPLE);
    turn_spent(&thread->server, stack, sample_ns, now);
    return 0;
}

/* An allocator that reserves its room at once maps nothing when it hands it out: only the page
 * faults tell then who fills it. */
SEC("perf_event")
int touch(void *context) {
    __u32 tgid = bpf_get_current_pid_tgid() >> 32;
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);
    struct scratch *s = scratch_of(SCRATCH_TOUCH);
    struct act_sum *sum;
    __u64 stack;

    if (!target || !target->touches || !s)
        return 0;
    stack = stack_of(s, target, tgid, SCRATCH_TOUCH);
    sum = act_sum(target->process, stack, ACT_TOUCH, 0, 0, bpf_ktime_get_ns());
    if (sum)
        act_add(sum, touch_faults * PAGE_SIZE, 0);
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switches, bool preempt, struct task_struct *from, struct task_struct *to) {
    struct thread *thread = thread_of(to, false);
    struct target *target;
    struct act_sum *sum;
    struct scratch *s;
    __u64 now;
    __u32 tgid;

    if (thread && thread->off_ns) {
        now = bpf_ktime_get_ns();
        tgid = to->tgid;
        target = bpf_map_lookup_elem(&targets, &tgid);
        if (target) {
            sum = act_sum(target->process, thread->off_stack, ACT_OFF_CPU, 0, 0, now);
            if (sum)
                act_add(sum, 0, now - thread->off_ns);
        }
        thread->off_ns = 0;
    }
    thread = thread_of(from, false);
    if (!thread || thread->began_ns || preempt || !from->__state)
        return 0;
    tgid = from->tgid;
    target = bpf_map_lookup_elem(&targets, &tgid);
    s = scratch_of(SCRATCH_SAMPLE);
    if (!target || !s)
        return 0;
    thread->off_stack = stack_of(s, target, tgid, SCRATCH_SAMPLE);
    thread->off_ns = bpf_ktime_get_ns();
    return 0;
}
