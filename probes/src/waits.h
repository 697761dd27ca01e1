/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * How long calls take, and who waited meanwhile.
 *
 * Every call that can wait is timed from its entry to its exit, into a histogram by process and
 * class. A slow one gets its stack, and so does one that waited out its time: a poll that found
 * nothing. A thread that serves others (an event loop from one return of its selector to the next
 * call, an accept loop from one connection to the next) has a turn, in which its calls and the
 * samples of the CPU vote for their stack: when somebody had to wait for the turn to end, the stack
 * that the time went to is why, be it by one long call or by many short ones.
 */
#pragma once

#include "ledger.h"

#define ETIMEDOUT 110
/* What the kernel returns to itself when a signal comes: the call is to be made again. */
#define ERESTARTSYS           512
#define ERESTARTNOINTR        513
#define ERESTARTNOHAND        514
#define ERESTART_RESTARTBLOCK 516
#define RESTART_SYSCALL       219

static __always_inline __u32 log2_of(__u64 value) {
    __u32 bucket = 0;

    if (value >> 32) {
        bucket += 32;
        value >>= 32;
    }
    if (value >> 16) {
        bucket += 16;
        value >>= 16;
    }
    if (value >> 8) {
        bucket += 8;
        value >>= 8;
    }
    if (value >> 4) {
        bucket += 4;
        value >>= 4;
    }
    if (value >> 2) {
        bucket += 2;
        value >>= 2;
    }
    return bucket + (value >> 1);
}

__attribute__((noinline)) int count_wait(__u32 process, __u32 class, __u64 ns, __u64 bytes) {
    struct wait_key key = {.process = process, .class = class};
    struct wait_sum *sum = bpf_map_lookup_elem(&waits, &key);
    __u32 bucket = log2_of(ns);

    if (!sum)
        sum = begun(&waits, &key);
    if (!sum) {
        count(WAIT_FULL);
        return 0;
    }
    __sync_fetch_and_add(&sum->count, 1);
    __sync_fetch_and_add(&sum->ns, ns);
    if (bytes)
        __sync_fetch_and_add(&sum->bytes, bytes);
    if (bucket >= WAIT_BUCKETS)
        bucket = WAIT_BUCKETS - 1;
    __sync_fetch_and_add(&sum->buckets[bucket], 1);
    return 0;
}

static __always_inline struct thread *thread_of(struct task_struct *task, bool make) {
    struct thread *thread =
        bpf_task_storage_get(&threads, task, 0, make ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);

    if (!thread && make)
        count(THREADS_FULL);
    return thread;
}

/* Nanoseconds that a thread was ready to run and no CPU was free, as /proc/PID/schedstat has it. */
static __always_inline __u64 queued_ns(struct task_struct *task) {
    return bpf_core_field_exists(task->sched_info) ? task->sched_info.run_delay : 0;
}

/* What is left of `ns` without what the thread queued for a CPU meanwhile, which is not the doing
 * of what it was at. Negative where the scheduler's clock is ahead by a hair; no branch, since each
 * one here doubles the verifier's work. */
static __always_inline __s64 blocked_ns(__u64 ns, __u64 queued) { return ns - queued; }

/* ---- turns ---- */

static __always_inline void turn_begin(struct turn *turn, struct task_struct *task, __u64 now) {
    turn->before = turn->voted_ns + stall_ns > now ? turn->stack : 0;
    turn->since_ns = now;
    turn->stack = turn->ahead_ns = turn->known_ns = turn->voted_ns = 0;
    turn->queued_ns = queued_ns(task);
}

/* Adds time to a stack, by the vote of Boyer and Moore: a majority needs no more than one
 * candidate. Whether this stack is the candidate now. */
static __always_inline bool turn_spent(struct turn *turn, __u64 stack, __u64 ns, __u64 now) {
    if (!turn->since_ns)
        return false;
    turn->known_ns += ns;
    if (turn->stack == stack) {
        turn->ahead_ns += ns;
    } else if (turn->ahead_ns >= ns) {
        turn->ahead_ns -= ns;
        return false;
    } else {
        turn->stack = stack;
        turn->ahead_ns = ns - turn->ahead_ns;
    }
    turn->voted_ns = now;
    return true;
}

/*
 * The stack to which a turn's time went. Where less than a quarter of it is known (it waited for
 * another's GIL) it is nobody's fault in this thread.
 */
static __always_inline __u64 turn_blame(const struct turn *turn, __u64 ns, __u32 process) {
    return turn->stack && turn->known_ns >= ns / 4 ? turn->stack : process;
}

/* The stack of the selector that a loop comes back to: it tells whose loop that is where the stack
 * that held it up does not, as a greenlet's ends with its own function. Global, and only asked for
 * where a loop stood still. */
__attribute__((noinline)) __u64 selector_stack(__u32 tgid) {
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);
    struct scratch *s = scratch_of(SCRATCH_SYSCALL);
    __u64 stack;

    if (!target || !s)
        return 0;
    s->opens = 0;
    stack = stack_of(s, target, tgid, SCRATCH_SYSCALL);
    return stack >> 63 ? stack : 0;
}

/* A loop comes back to its selector. */
static __always_inline void loop_returns(struct thread *thread, struct task_struct *task,
                                         __u32 process, __u64 now) {
    __u64 ns = now - thread->loop.since_ns;
    __u64 queued = queued_ns(task) - thread->loop.queued_ns;
    struct act_sum *sum;
    __u64 stack, named = 0;

    if (thread->loop.since_ns && blocked_ns(ns, queued) >= (__s64)stall_ns) {
        stack = turn_blame(&thread->loop, ns - queued, process);
        if (stack == thread->loop.stack)
            named = thread->loop_task;
        if (!named)
            named = selector_stack(task->tgid);
        sum = act_sum(process, stack, ACT_STALL, named, 0, now);
        if (sum)
            act_blames(sum, ns, queued);
    }
    thread->loop.since_ns = 0;
}

/* A thread closes a descriptor, which may be the selector of its loop. */
static __always_inline void loop_closes(struct task_struct *task, __u32 fd) {
    struct thread *thread = thread_of(task, false);

    if (thread && thread->loop_fd == fd)
        thread->loop.since_ns = 0;
}

/* How many descriptors, and calls on their way, hold a file: those of other processes included. */
static __always_inline __u32 holders_of(struct file *file) {
    struct file___counted *counted = (void *)file;
    struct file___referenced *referenced = (void *)file;

    if (bpf_core_field_exists(counted->f_count))
        return BPF_CORE_READ(counted, f_count.counter);
    if (bpf_core_field_exists(referenced->f_ref))
        return BPF_CORE_READ(referenced, f_ref.refcnt.counter) + 1;
    return 0;
}

/*
 * The stack for which a connection that came at `came` waited. A call that had ended by then, as
 * the wait for that very connection has, is not why. When the queue is emptied at one go, the turn
 * may have begun at the connection before it, a moment ago.
 */
static __always_inline __u64 server_blame(const struct turn *turn, __u32 process, __u64 came,
                                          __u64 ns, __u64 now) {
    if (turn->before && now - turn->since_ns < stall_ns)
        return turn->before;
    if (turn->voted_ns < came + slow_ns)
        return process;
    return turn_blame(turn, ns, process);
}

/* A connection came out of the accept queue: how long was it in there? */
static __always_inline void accepted(struct thread *thread, struct task_struct *task,
                                     struct file *file, struct file *listening, __u32 process,
                                     __u64 now) {
    struct socket *socket = BPF_CORE_READ(file, private_data);
    struct sock *sk = BPF_CORE_READ(socket, sk);
    __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
    struct act_sum *sum;
    __u64 came, ns, queued;

    if (family == 2 /* AF_INET */ || family == 10 /* AF_INET6 */) {
        /* The time of the last segment, in microseconds of the same clock: the client's request,
         * or the end of the handshake. */
        came = BPF_CORE_READ((struct tcp_sock *)sk, tcp_mstamp) * 1000;
        ns = now > came ? now - came : 0;
        queued = queued_ns(task) - thread->server.queued_ns;
        if (came && blocked_ns(ns, queued) >= (__s64)stall_ns) {
            sum = act_sum(process, server_blame(&thread->server, process, came, ns - queued, now),
                          ACT_QUEUE, 0, 0, now);
            if (sum) {
                act_blames(sum, ns, queued);
                sum->flags = listening ? holders_of(listening) : 0;
            }
            return; /* those behind it waited for the same: the turn goes on */
        }
    }
    turn_begin(&thread->server, task, now);
}
