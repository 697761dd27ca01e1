/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* Syscalls that make, end or pass on descriptors. */
#pragma once

#include "call.h"

#define EBADF           9
#define O_TRUNC         01000
#define F_DUPFD         0
#define F_DUPFD_CLOEXEC 1030
#define TIOCGPTPEER     0x5441
#define SOL_SOCKET      1
#define SCM_RIGHTS      1
/* The kernel's SCM_MAX_FD (include/net/scm.h), and room for the headers between. */
#define SCM_STEPS           264
#define CLOSE_RANGE_CLOEXEC 4
/* sizeof(struct mmsghdr), and the messages that one recvmmsg takes at most (UIO_MAXIOV) */
#define MMSGHDR      64
#define MESSAGES_MAX 1024
#define CLONE_PIDFD  0x1000
/* Descriptors that one close_range looks at; more is left to the reconciliation. */
#define CLOSE_RANGE_STEPS (1 << 20)

/* A number that is in the ledger is born again: what had it ended without that its close was seen
 * first. */
static __noinline long replace(const struct descriptor_key *key, const struct descriptor *entry) {
    struct descriptor *stale = living(key);
    __u32 origin = stale ? stale->origin : 0;

    /* What the reconciliation saw a moment ago was this birth, if it is not older. */
    if (stale && (origin_of(origin) != ORIGIN_FOUND || stale->pass != reconcile_pass)) {
        __u16 mode = stale->mode;

        if (take_out(key, stale, origin) && trace_calls)
            tell_change(key->fd, CHANGE_CLOSED, mode);
    } else if (stale && key->fd < kept_below) {
        __sync_val_compare_and_swap(&stale->origin, origin, turned(origin, ORIGIN_CLOSED));
    }
    if (key->fd < kept_below)
        return put_in(key, entry);
    return bpf_map_update_elem(&descriptors, key, entry, BPF_ANY);
}

/*
 * Enters a descriptor that the call in the work space has made; `file` tells that its slot is not
 * empty. Returns 0, or an error when there is no room. Global, as many ways lead here.
 */
__attribute__((noinline)) int enter_birth(__u32 process, __u32 fd, __u32 mode, __u32 file) {
    struct descriptor_key key = {.process = process, .fd = fd};
    struct scratch *s = scratch_of(SCRATCH_SYSCALL);
    struct descriptor *entry;
    struct site *site;
    long failed = 0;

    if (!s)
        return 0;
    count_alone(OPENED_EMITTED);
    entry = &s->born;
    __builtin_memset(entry, 0, sizeof(*entry));
    entry->stack = s->stack_id;
    entry->born_ns = entry->used_ns = s->now;
    entry->call = s->number;
    entry->tid = s->tid;
    entry->pass = reconcile_pass;
    if (file) {
        entry->mode = mode;
        failed = put_in(&key, entry);
        if (failed == -EEXIST)
            failed = replace(&key, entry);
    }
    if (failed == -EEXIST) {
        /* A birth on another CPU, of the same number, has taken the entry since: one of the two
         * has been closed again by now. */
        file = 0;
        failed = 0;
    }
    site = failed || !s->booked ? bpf_map_lookup_elem(&sites, &s->stack_id) : 0;
    if (failed) {
        count(OPENED_DESCRIPTORS_FULL);
        if (site && s->booked)
            __sync_fetch_and_add(&site->opened, -1);
    } else {
        if (site)
            book_opened(site, s->now);
        else if (!s->booked)
            count(OPENED_SITES_FULL);
        if (!file) /* another thread closed it before this call was out of the kernel */
            account_close(s->stack_id);
    }
    if (trace_calls)
        tell_change(fd, CHANGE_OPENED, file ? mode : 0);
    return failed;
}

static __always_inline void birth_of(struct call *c, __u32 fd, struct file *file, __u16 mode) {
    if (enter_birth(c->target->process, fd, mode, !!file))
        __sync_fetch_and_add(&c->target->missed, 1);
}

static __noinline int birth(struct call *c, __u32 fd) {
    struct file *file = file_of(fd);

    birth_of(c, fd, file, file ? mode_of(file) : 0);
    return 0;
}

/* The birth of what is opened by its path; a regular file is booked by its name too. `truncated`:
 * what it held is gone. */
static __noinline int birth_of_file(struct call *c, __u32 fd, bool truncated) {
    struct file *file = file_of(fd);
    struct inode_facts facts = {};
    struct act_sum *sum;
    __u64 object;

    if (file)
        inode_facts(c->s, &facts, file);
    birth_of(c, fd, facts.inode ? file : 0, facts.mode);
    if (descriptors_only || !facts.inode || (facts.mode & S_IFMT) != S_IFREG)
        return 0;
    object = file_id(&facts, c->target->process);
    sum = act_sum(c->target->process, c->s->stack_id, ACT_OPEN, object, 0, c->now);
    if (!sum)
        return 0;
    /* The first describes the file; one that had no room is described by a later one. */
    if (!(sum->count & (DESCRIBE_EACH - 1)) || sum->count == 1)
        describe_file((__u64)file, object, c->target->process);
    act_add(sum, 0, c->ns);
    if (truncated)
        __sync_fetch_and_add(&sum->repeats, 1);
    return 0;
}

/*
 * Takes a descriptor out whose close was seen, unless its slot is not empty: then the birth that
 * took the number takes the entry out, but where dup2 and dup3 have `replaced` the file. Returns 1
 * when it is one of `missed`, the births that had no room. Global, as many ways lead here.
 */
__attribute__((noinline)) int enter_death(__u32 process, __u32 fd, __u32 replaced, __u32 missed) {
    struct descriptor_key key = {.process = process, .fd = fd};
    struct descriptor *entry = living(&key);
    __u32 origin = entry ? entry->origin : 0;
    __u16 mode = 0;

    /* The origin before the slot: an entry that is born after the look is not this close's. */
    barrier();
    if (!replaced && file_of(fd))
        return 0;
    if (entry) {
        mode = entry->mode;
        if (!take_out(&key, entry, origin))
            return 0;
    } else if (missed) {
        count_alone(CLOSED_EMITTED);
        count(CLOSED_UNKNOWN);
    } else {
        /* Nothing was there (an ordinary dup2), or another thread has had the number, and given it
         * back, before this close was out of the kernel: then its birth counted this close. */
        return 0;
    }
    if (trace_calls)
        tell_change(fd, CHANGE_CLOSED, mode);
    return !entry;
}

static __noinline int death(struct call *c, __u32 fd, __u32 replaced) {
    if (!replaced && c->target->warned) {
        struct descriptor_key key = {.process = c->target->process, .fd = fd};
        bool taken = file_of(fd);
        struct descriptor *entry = living(&key);

        settle_warning(c->s, c->target, c->tid, entry, taken || !entry);
    }
    if (enter_death(c->target->process, fd, replaced, c->target->missed > 0))
        __sync_fetch_and_add(&c->target->missed, -1);
    return 0;
}

/* Walks for a close that may be the one that a warning of this thread was about. */
static __always_inline void walk_warned(struct call *c) {
    if (c->target->warned && bpf_map_lookup_elem(&warnings, &c->tid))
        walk_once(c);
}

/* The control buffer of a message as recvmsg left it, on its way through. */
struct message {
    struct call *call;
    __u64 at;
    __u64 end;
    __u64 next; /* header after this one */
    __u64 last; /* end of the descriptors of this one */
};

/* Takes one header, or one descriptor of SCM_RIGHTS; returns 1 at the end. */
static long birth_of_message(__u64 i, void *context) {
    struct message *m = context;
    struct {
        __u64 length;
        __s32 level;
        __s32 type;
    } header;
    __s32 fd;

    if (m->at < m->last) {
        if (bpf_probe_read_user(&fd, sizeof(fd), (void *)m->at))
            return 1;
        m->at += sizeof(fd);
        if (fd >= 0) {
            walk_once(m->call);
            birth(m->call, fd);
        }
        return 0;
    }
    if (m->next)
        m->at = m->next;
    if (m->at + sizeof(header) > m->end ||
        bpf_probe_read_user(&header, sizeof(header), (void *)m->at) ||
        header.length < sizeof(header) || header.length > m->end - m->at)
        return 1;
    m->next = m->at + ((header.length + 7) & ~7ULL);
    m->last = header.level == SOL_SOCKET && header.type == SCM_RIGHTS
                  ? m->at + (header.length & ~3ULL)
                  : 0;
    m->at += sizeof(header);
    return 0;
}

struct messages {
    struct call *call;
    __u64 first;
};

/* Descriptors that came in one message. Before 5.17 the reconciliation finds them. */
static long births_of_message(__u64 i, void *context) {
    struct messages *messages = context;
    /* struct user_msghdr: msg_control at 32, msg_controllen at 40 */
    __u64 control[2] = {}, message = messages->first + i * MMSGHDR;
    struct message m = {.call = messages->call};

    if (bpf_probe_read_user(control, sizeof(control), (void *)(message + 32)) || !control[1])
        return 0;
    m.at = control[0];
    m.end = control[0] + control[1];
    if (bpf_core_enum_value_exists(enum bpf_func_id___probe, BPF_FUNC_loop___probe))
        bpf_loop(SCM_STEPS, birth_of_message, &m, 0);
    return 0;
}

/* The pidfd of a new process, where the caller asked for one. */
static __always_inline void birth_of_pidfd(struct call *c, __u64 flags, __u64 where) {
    __s32 fd;

    if (!(flags & CLONE_PIDFD) || bpf_probe_read_user(&fd, sizeof(fd), (void *)where) || fd < 0)
        return;
    walk_once(c);
    birth(c, fd);
}

struct range {
    struct call *call;
    __u32 first;
};

static long close_one_of_range(__u64 i, void *context) {
    struct range *range = context;
    struct descriptor_key key = {.process = range->call->target->process,
                                 .fd = range->first + (__u32)i};

    if (living(&key))
        death(range->call, key.fd, 0);
    return 0;
}

/* Takes out what is known between the two numbers and whose slot is empty. */
static __always_inline void close_range(struct call *c, __u64 first, __u64 last) {
    struct range range = {.call = c, .first = first};
    __u32 end = table_size();
    __u32 steps;

    if (last < end)
        end = last + 1;
    if (first >= end)
        return;
    steps = end - (__u32)first;
    if (steps > CLOSE_RANGE_STEPS)
        steps = CLOSE_RANGE_STEPS;
    /* Before 5.17 the reconciliation finds what was closed. */
    if (bpf_core_enum_value_exists(enum bpf_func_id___probe, BPF_FUNC_loop___probe))
        bpf_loop(steps, close_one_of_range, &range, 0);
}

static __always_inline void trace_begin(struct call *c, struct pt_regs *regs, __s64 result,
                                        __u32 class) {
    struct event_descriptor *event = &c->s->call;
    __u64 path = 0;
    long size;

    event->header.type = EVENT_DESCRIPTOR;
    event->header.process = c->target->process;
    event->header.time_ns = c->now;
    event->result = result;
    event->tgid = c->tgid;
    event->tid = c->tid;
    event->call = c->number;
    event->path_size = 0;
    for (int i = 0; i < 6; i++)
        event->arguments[i] = call_argument(regs, i);
    event->began_ns = c->ns ? c->now - c->ns : 0;
    if (class == CALL_OPENS_PATH0)
        path = event->arguments[0];
    else if (class == CALL_OPENS_PATH1)
        path = event->arguments[1];
    if (path) {
        size = bpf_probe_read_user_str(event->path, PATH_MAX, (void *)path);
        if (size > 0)
            event->path_size = size;
    }
}

static __always_inline bool opens(__u32 class) {
    return class != CALL_CLOSE && class != CALL_CLOSE_RANGE && class != CALL_USES &&
           class != CALL_RECVMSG && class != CALL_RECVMMSG && class != CALL_CLONE &&
           class != CALL_CLONE3;
}

static __always_inline void dispatch(struct call *c, struct pt_regs *regs, __s64 result,
                                     __u32 class) {
    struct messages messages = {.call = c};
    __s32 pair[2];
    __u64 wide[2];

    if (opens(class) && result < 0) {
        if (trace_calls) {
            walk_once(c);
            tell_change(-1, CHANGE_FAILED, 0);
        }
        return;
    }
    switch (class) {
    case CALL_OPENS_URING:
        c->target->uring = 1;
        goto opened;
    case CALL_OPENS_POSITIVE:
        if (result == 0)
            return;
        goto opened;
    case CALL_SIGNALFD:
        if ((__s32)call_argument(regs, 0) != -1)
            return;
        goto opened;
    case CALL_DUPLICATES:
        if ((__u32)call_argument(regs, 0) == (__u32)result)
            return;
        if (trace_calls)
            walk_opening(c);
        death(c, result, 1);
        goto opened;
    case CALL_OPENS_PATH0:
        walk_opening(c);
        birth_of_file(c, result, call_argument(regs, 1) & O_TRUNC);
        return;
    case CALL_OPENS_PATH1:
        walk_opening(c);
        birth_of_file(c, result, call_argument(regs, 2) & O_TRUNC);
        return;
    case CALL_OPENS:
    case CALL_ACCEPTS:
    case CALL_FCNTL:
    case CALL_IOCTL:
    opened:
        walk_opening(c);
        birth(c, result);
        return;
    case CALL_CLOSE:
        if (trace_calls)
            walk_once(c);
        if (trace_calls && c->s->taken) {
            tell_change(call_argument(regs, 0), CHANGE_CLOSED, c->s->taken_mode);
            return;
        }
        if (result == -EBADF) {
            if (trace_calls)
                tell_change(-1, CHANGE_FAILED, 0);
            return;
        }
        /* With its selector the event loop ends, and with it its turn. */
        if (c->target->loops)
            loop_closes(c->task, call_argument(regs, 0));
        walk_warned(c);
        death(c, call_argument(regs, 0), 0);
        return;
    case CALL_PAIR0:
    case CALL_PAIR3:
        walk_once(c);
        if (bpf_probe_read_user(pair, sizeof(pair),
                                (void *)call_argument(regs, class == CALL_PAIR0 ? 0 : 3)))
            return; /* unmapped by another thread meanwhile: the reconciliation finds them */
        birth(c, pair[0]);
        birth(c, pair[1]);
        return;
    case CALL_RECVMSG:
    case CALL_RECVMMSG:
        messages.first = call_argument(regs, 1);
        if (class == CALL_RECVMSG) /* of which the result is bytes */
            result = result >= 0;
        if (result > 0 &&
            bpf_core_enum_value_exists(enum bpf_func_id___probe, BPF_FUNC_loop___probe))
            bpf_loop(result > MESSAGES_MAX ? MESSAGES_MAX : result, births_of_message, &messages,
                     0);
        return;
    case CALL_CLOSE_RANGE:
        if (result || call_argument(regs, 2) & CLOSE_RANGE_CLOEXEC)
            return;
        if (trace_calls)
            walk_once(c);
        walk_warned(c);
        close_range(c, (__u32)call_argument(regs, 0), (__u32)call_argument(regs, 1));
        return;
    case CALL_CLONE:
        if (result > 0)
            birth_of_pidfd(c, call_argument(regs, 0), call_argument(regs, 2));
        return;
    case CALL_CLONE3:
        /* struct clone_args: flags, pidfd */
        if (result > 0 && !bpf_probe_read_user(wide, sizeof(wide), (void *)call_argument(regs, 0)))
            birth_of_pidfd(c, wide[0], wide[1]);
        return;
    }
}
