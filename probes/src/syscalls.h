/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The two programs that see every syscall. The number is looked at first, because most calls of
 * most processes end there. A call is told at its exit; its entry only notes the time.
 */
#pragma once

#include "connections.h"
#include "descriptors.h"
#include "memory.h"
#include "task_name.h"

#define O_NONBLOCK    04000
#define AT_EMPTY_PATH 0x1000
#define F_SETLKW      7
#define F_OFD_SETLKW  38
#define FOREVER       0x7fffffffffffffffL
#define NO_DESCRIPTOR (~0U)

/* What a call does to descriptors, and what it may wait for. */
static __always_inline __u32 class_of(__u64 number, struct pt_regs *regs) {
    __u32 class = syscall_class[number];

    if (class == CALL_FCNTL) {
        __u32 command = call_argument(regs, 1);

        if (command != F_DUPFD && command != F_DUPFD_CLOEXEC)
            return CALL_IGNORED;
    }
    if (class == CALL_IOCTL && (__u32)call_argument(regs, 1) != TIOCGPTPEER)
        return CALL_IGNORED;
    return class;
}

static __always_inline __u32 wait_of(__u64 number, struct pt_regs *regs) {
    __u32 wait = syscall_wait[number];

    if (descriptors_only || !wait)
        return WAIT_NONE;
    if (number == fcntl_number) {
        __u32 command = call_argument(regs, 1);

        return command == F_SETLKW || command == F_OFD_SETLKW ? wait : WAIT_NONE;
    }
    /* fstat, by its newer way */
    if (number == newfstatat_number && call_argument(regs, 3) & AT_EMPTY_PATH)
        return WAIT_NONE;
    return wait;
}

/*
 * Whether such a wait on this descriptor would never end by itself. To receive without having asked
 * is to listen for what may never come, and that is meant to have no end.
 */
static __always_inline bool without_limit(struct call *c, struct pt_regs *regs, struct file *file,
                                          __u32 wait) {
    struct sock *sk;

    if (wait == WAIT_POLL) {
        if (c->number == poll_number)
            return (__s32)call_argument(regs, 2) < 0;
        return !call_argument(regs, c->number == ppoll_number ? 2 : 4);
    }
    if (!file || (mode_of(file) & S_IFMT) != S_IFSOCK || BPF_CORE_READ(file, f_flags) & O_NONBLOCK)
        return false;
    if ((wait == WAIT_RECEIVE || wait == WAIT_READ) && !c->asked)
        return false;
    sk = sock_of(file);
    return BPF_CORE_READ(sk, sk_rcvtimeo) == FOREVER;
}

static __always_inline bool has_descriptor(__u32 wait) {
    return wait == WAIT_READ || wait == WAIT_WRITE || wait == WAIT_RECEIVE || wait == WAIT_SEND ||
           wait == WAIT_CONNECT || wait == WAIT_ACCEPT || wait == WAIT_SYNC || wait == WAIT_LIST;
}

/* Which descriptor a call waits for; NO_DESCRIPTOR where that is none, or several. */
static __always_inline __u32 awaited(struct call *c, struct pt_regs *regs) {
    struct pollfd_head {
        __s32 fd;
    } one;

    if (has_descriptor(c->wait) ||
        (c->wait == WAIT_LOCK && (c->number == flock_number || c->number == fcntl_number)))
        return call_argument(regs, 0);
    if ((c->number != poll_number && c->number != ppoll_number) || call_argument(regs, 1) != 1)
        return NO_DESCRIPTOR;
    if (bpf_probe_read_user(&one, sizeof(one), (void *)call_argument(regs, 0)))
        return NO_DESCRIPTOR;
    return one.fd;
}

/* Whether a call belongs to a turn of its thread, and is not what ends or begins one. */
static __always_inline bool in_turn(const struct call *c, struct pt_regs *regs) {
    const struct thread *thread = c->thread;

    if (!thread || (!thread->loop.since_ns && !thread->server.since_ns))
        return false;
    if (c->wait == WAIT_EPOLL)
        return thread->loop.since_ns && thread->loop_fd != (__u32)call_argument(regs, 0);
    return c->wait != WAIT_ACCEPT;
}

/* Time that a call took of its thread's turn. Global, as many ways lead here. */
__attribute__((noinline)) int turn_took(__u32 tgid, __u64 ns, __u64 now) {
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);
    struct thread *thread = thread_of(bpf_get_current_task_btf(), false);
    struct scratch *s = scratch_of(SCRATCH_SYSCALL);

    if (!target || !thread || !s)
        return 0;
    if (!s->walked) {
        s->walked = 1;
        s->stack_id = stack_of(s, target, tgid, SCRATCH_SYSCALL);
    }
    if (turn_spent(&thread->loop, s->stack_id, ns, now) &&
        (ns >= slow_ns || now - thread->loop.since_ns >= stall_ns / 2))
        thread->loop_task = running_task(tgid, SCRATCH_SYSCALL);
    turn_spent(&thread->server, s->stack_id, ns, now);
    return 0;
}

/* A call that took long, or that waited out its time. */
static __noinline int waited(struct call *c, struct pt_regs *regs, __u64 object, bool timed_out) {
    __u32 fd = awaited(c, regs), wait = c->wait;
    struct file *file = fd != NO_DESCRIPTOR ? file_of(fd) : 0;
    struct descriptor *entry = 0;
    struct act_sum *sum;

    if (file) {
        entry = use(c, fd, 0, 0);
        if (entry && entry->peer)
            object = entry->peer;
        else if (wait == WAIT_LOCK)
            object = file_object((__u64)file, c->target->process);
    }
    walk_once(c);
    sum = act_sum(c->target->process, c->s->stack_id, ACT_WAIT, object, c->number, c->now);
    if (!sum)
        return 0;
    act_blames(sum, c->ns, c->queued_ns);
    if (timed_out)
        __sync_fetch_and_add(&sum->repeats, 1);
    if (without_limit(c, regs, file, wait))
        __sync_fetch_and_add(&sum->starts, 1);
    if (entry) {
        if (entry->sent != entry->sent_then) {
            entry->sent_then = entry->sent;
            __sync_fetch_and_add(&sum->bytes, 1);
        }
        sum->mode = entry->mode;
        sum->made_by = entry->call;
    } else if (file) {
        sum->mode = mode_of(file);
    }
    return 0;
}

/* Where the bytes of a call begin in its file; BY_POSITION of those that say it themselves. */
static __always_inline __u64 position_of(struct call *c, struct pt_regs *regs, struct file *file,
                                         __u64 bytes) {
    if (syscall_positioned[c->number & (MAX_SYSCALLS - 1)])
        return BY_POSITION;
    return BPF_CORE_READ(file, f_pos) - bytes;
}

/* Whoever takes a connection serves others from now on. */
static __noinline int accepts(struct call *c, __u32 listening, __u32 fd) {
    struct file *file = file_of(fd);

    if (file && c->thread)
        accepted(c->thread, c->task, file, file_of(listening), c->target->process, c->now);
    return 0;
}

/* What a call did besides to descriptors. Returns the object that it was about. */
static __always_inline __u64 act_of(struct call *c, struct pt_regs *regs, __s64 result) {
    __u64 bytes = result > 0 ? result : 0;
    struct file *file;

    switch (c->wait) {
    case WAIT_READ:
    case WAIT_WRITE:
        if (c->wait == WAIT_READ)
            receives(c, call_argument(regs, 0), result);
        else
            use(c, call_argument(regs, 0), 0, bytes);
        file = file_of(call_argument(regs, 0));
        if (!file || result < 0 || (mode_of(file) & S_IFMT) != S_IFREG)
            return 0;
        return file_bytes(c, file, bytes, position_of(c, regs, file, bytes), c->wait == WAIT_WRITE);
    case WAIT_RECEIVE:
        receives(c, call_argument(regs, 0), result);
        return 0;
    case WAIT_SEND:
        use(c, call_argument(regs, 0), 0, bytes);
        return 0;
    case WAIT_CONNECT:
        connects(c, regs, result);
        return 0;
    case WAIT_ACCEPT:
        use(c, call_argument(regs, 0), 0, 0);
        if (result >= 0)
            accepts(c, call_argument(regs, 0), result);
        return 0;
    case WAIT_EPOLL:
        use(c, call_argument(regs, 0), 0, 0);
        if (c->thread && !c->thread->loop.since_ns) {
            c->thread->loop_fd = call_argument(regs, 0);
            c->target->loops = 1;
            c->thread->loop_task = 0;
            turn_begin(&c->thread->loop, c->task, c->now);
        }
        return 0;
    case WAIT_SYNC:
        use(c, call_argument(regs, 0), 0, 0);
        file = file_of(call_argument(regs, 0));
        if (!file)
            return 0;
        bytes = file_object((__u64)file, c->target->process);
        plain_act(c, ACT_SYNC, bytes, result < 0);
        return bytes;
    case WAIT_LIST:
        use(c, call_argument(regs, 0), 0, 0);
        file = result == 0 ? file_of(call_argument(regs, 0)) : 0;
        if (file)
            listed(c, file);
        return 0;
    case WAIT_STAT:
        plain_act(c, ACT_STAT, 0, result < 0);
        return 0;
    case WAIT_MAP:
        if (c->number == brk_number)
            moves_heap(c, result);
        else if ((__u64)result > -4096ULL)
            return 0;
        else if (c->number == mmap_number)
            maps(c, regs, result);
        else if (c->number == munmap_number)
            unmap_one(c, call_argument(regs, 0), pages(call_argument(regs, 1)));
        else if (c->number == mremap_number)
            remaps(c, regs, result);
        return 0;
    }
    return 0;
}

static __always_inline bool hardly_waits(__u32 wait) {
    return wait == WAIT_OPEN || wait == WAIT_CLOSE || wait == WAIT_STAT || wait == WAIT_MAP;
}

static __always_inline bool moves_bytes(__u32 wait) {
    return wait == WAIT_READ || wait == WAIT_WRITE || wait == WAIT_RECEIVE || wait == WAIT_SEND;
}

static __always_inline bool waited_out(__u32 wait, __s64 result) {
    if (wait == WAIT_POLL || wait == WAIT_EPOLL)
        return result == 0;
    if (wait == WAIT_LOCK)
        return result == -ETIMEDOUT;
    return wait == WAIT_SLEEP;
}

/* Whether a call does something with the descriptor in argument 0. */
static __always_inline bool uses(__u32 class) {
    return class == CALL_USES || class == CALL_RECVMSG || class == CALL_RECVMMSG ||
           class == CALL_ACCEPTS;
}

static __noinline int ends(struct pt_regs *regs, __s64 result, __u64 number, __u32 class,
                           __u32 wait) {
    __u64 object = 0;
    __s64 blocked;
    struct call c = {};

    c.task = bpf_get_current_task_btf();
    c.tgid = c.task->tgid;
    c.target = bpf_map_lookup_elem(&targets, &c.tgid);
    if (!c.target)
        return 0;
    if (is_compat(c.task)) {
        count(COMPAT_CALLS);
        return 0;
    }
    c.s = scratch_of(SCRATCH_SYSCALL);
    if (!c.s)
        return 0;
    /* A close is not timed: the clock costs as much as all else that is to be done for it. */
    if (wait || class != CALL_CLOSE || trace_calls)
        c.now = bpf_ktime_get_ns();
    c.tid = c.task->pid;
    c.s->walked = c.s->taken = c.s->told = c.s->opens = c.s->booked = 0;
    c.s->stack_id = 0;
    c.s->stack_status = STACK_NO_THREAD_STATE;
    c.thread = wait ? thread_of(c.task, false) : 0;
    if (c.thread && c.thread->began_ns) {
        if (result == -ERESTART_RESTARTBLOCK || result == -ERESTARTSYS ||
            result == -ERESTARTNOHAND || result == -ERESTARTNOINTR) {
            c.thread->restarted = 1;
            return 0;
        }
        if (number == RESTART_SYSCALL && c.thread->restarted) {
            number = c.thread->number & (MAX_SYSCALLS - 1);
            wait = syscall_wait[number];
        }
        if (number == c.thread->number) {
            c.ns = c.now - c.thread->began_ns;
            c.queued_ns = queued_ns(c.task) - c.thread->queued_ns;
            c.s->taken = c.thread->taken;
            c.s->taken_mode = c.thread->mode;
        }
        c.thread->began_ns = c.thread->restarted = 0;
    }
    c.number = number;
    c.wait = wait;
    if (trace_calls)
        trace_begin(&c, regs, result, class);
    /* Where waits are watched, they tell what is used. */
    if (descriptors_only && uses(class))
        use(&c, call_argument(regs, 0), 0, 0);
    if (class && class != CALL_USES)
        dispatch(&c, regs, result, class);
    if (!wait)
        return 0;
    object = act_of(&c, regs, result);
    if (c.ns >= quick_ns || !hardly_waits(wait))
        count_wait(c.target->process, wait, c.ns, moves_bytes(wait) && result > 0 ? result : 0);
    /* A thread that others keep from the GIL asks for it again each 5 ms: not this line's doing. */
    blocked = blocked_ns(c.ns, c.queued_ns);
    if (blocked >= (__s64)quick_ns && in_turn(&c, regs) &&
        (wait != WAIT_LOCK || blocked >= (__s64)slow_ns))
        turn_took(c.tgid, blocked, c.now);
    if (blocked >= (__s64)slow_ns || (c.ns >= quick_ns && waited_out(wait, result)))
        waited(&c, regs, object, waited_out(wait, result));
    if (trace_others && !c.s->told) {
        struct file *file = has_descriptor(wait) ? file_of(call_argument(regs, 0)) : 0;

        walk_once(&c);
        tell_change(-1, result < 0 ? CHANGE_FAILED : CHANGE_NONE, file ? mode_of(file) : 0);
    }
    return 0;
}

/* Most calls of most processes end here: what follows is apart, so that they pay no stack of it. */
SEC("tp_btf/sys_exit")
int BPF_PROG(syscall_exit, struct pt_regs *regs, long result) {
    __u64 number = call_number(regs);
    __u32 class, wait;

    if (number >= MAX_SYSCALLS)
        return 0;
    class = class_of(number, regs);
    wait = wait_of(number, regs);
    if (class | wait)
        ends(regs, result, number, class, wait);
    return 0;
}

/*
 * A signal's handler returns. The call that the signal interrupted is over then: one that the
 * kernel makes again after a handler counts as another, for nobody knows what the handler did.
 */
static __noinline int interrupted(void) {
    struct thread *thread = thread_of(bpf_get_current_task_btf(), false);

    if (!thread || !thread->restarted)
        return 0;
    count_wait(thread->process, syscall_wait[thread->number & (MAX_SYSCALLS - 1)],
               bpf_ktime_get_ns() - thread->began_ns, 0);
    thread->restarted = 0;
    thread->began_ns = 0;
    return 0;
}

/* Apart from what begins a call, for the walk of a stack takes much of the 512 bytes. */
static __noinline int comes_back(void) {
    struct task_struct *task = bpf_get_current_task_btf();
    struct thread *thread = thread_of(task, false);

    if (thread)
        loop_returns(thread, task, thread->process, thread->began_ns);
    return 0;
}

/*
 * In a trace a close takes its descriptor out here, at the line that made it, before another thread
 * can have the number. Returns 1 where a loop comes back to its selector.
 */
static __noinline int begins(struct pt_regs *regs, __u64 number, __u32 class, __u32 wait) {
    struct task_struct *task = bpf_get_current_task_btf();
    struct descriptor_key key = {};
    struct descriptor *entry;
    struct thread *thread;
    struct target *target;
    __u32 tgid;

    /* A thread that has been seen needs no look at its process, while the watched ones are the
     * same. */
    thread = thread_of(task, false);
    if (!thread || thread->generation != target_generation) {
        tgid = task->tgid;
        target = bpf_map_lookup_elem(&targets, &tgid);
        if (thread && (!target || thread->process != target->process))
            bpf_task_storage_delete(&threads, task); /* what it did belongs to another */
        if (!target || is_compat(task))
            return 0;
        thread = thread_of(task, true);
        if (!thread)
            return 0;
        thread->process = target->process;
        thread->generation = target_generation;
    } else if (is_compat(task)) {
        return 0;
    }
    if (thread->restarted) {
        if (number == RESTART_SYSCALL || number == thread->number)
            return 0; /* the call goes on */
        count_wait(thread->process, syscall_wait[thread->number & (MAX_SYSCALLS - 1)],
                   bpf_ktime_get_ns() - thread->began_ns, 0);
        thread->restarted = 0;
    }
    thread->number = number;
    thread->began_ns = bpf_ktime_get_ns();
    thread->queued_ns = queued_ns(task);
    thread->taken = 0;
    /* Another selector is a call within the turn: a client that waits for its answer that way. */
    if (wait == WAIT_EPOLL && thread->loop_fd == (__u32)call_argument(regs, 0))
        return 1;
    if (trace_calls && class == CALL_CLOSE) {
        tgid = task->tgid;
        target = bpf_map_lookup_elem(&targets, &tgid);
        key.process = thread->process;
        key.fd = call_argument(regs, 0);
        entry = living(&key);
        if (target && entry && file_of(key.fd)) {
            thread->mode = entry->mode;
            thread->taken = take_out(&key, entry, entry->origin);
        }
    }
    return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(syscall_enter, struct pt_regs *regs, long id) {
    __u64 number = id;
    __u32 class, wait;
    int returns = 0;

    if (number >= MAX_SYSCALLS)
        return 0;
    class = trace_calls ? class_of(number, regs) : CALL_IGNORED;
    wait = wait_of(number, regs);
    if (wait || (class && class != CALL_USES))
        returns = begins(regs, number, class, wait);
    else if (number == sigreturn_number)
        interrupted();
    if (returns)
        comes_back();
    return 0;
}
