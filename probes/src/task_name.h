/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The name of the task that a thread runs, of asyncio or of trio.
 *
 * asyncio keeps a dict {loop: running task}, and from 3.14 on each thread state has its own task. A
 * task belongs to this thread when the frame of its
 * coroutine is on the thread's own stack, which has just been walked: a torn read of the dict, the
 * task of another thread's loop, or a wrong offset finds no such frame, and so no wrong name. Where
 * no task is this thread's, none is missing: it runs a callback while another thread's loop runs
 * its task.
 *
 * trio drives its tasks from one long-lived function, which keeps the running one in a local
 * variable: an object of trio's own type of tasks, and held to the same proof.
 */
#pragma once

#include "waits.h"

/* Entries of the dict that are looked at: the newest. A step of a task makes its loop's anew. */
#define TASKS      16
#define ENTRY_SIZE 24
/* Offsets behind the head of an object, the same since 3.8. */
#define DICT_KEYS  16
#define TYPE_FLAGS 152
#define INT_DIGITS 8
/* An integer keeps its sign beside the number of its digits. */
#define INT_TAG_BITS 3
/* Bits of a type's flags. */
#define INT_SUBCLASS (1ULL << 24)
#define STR_SUBCLASS (1ULL << 28)
/* Distinct names of one process that are told. A server names a task for each request: without a
 * bound its names would fill the tables of all. */
#define NAMES 512

/* Words of a frame in which the local variable is looked for: it is among the first 16. */
#define LOCALS 32

/* Frames from the outer end in which a task's is looked for. */
#define OUTER_FRAMES 96

/* Whether the walk that ended last met this frame. The frame of a task is near the outer end.
 * Global for the verifier's sake, as is `running_task`. */
__attribute__((noinline)) int walked(__u64 frame, __u32 user) {
    struct scratch *s = scratch_of(user);
    __u32 count, i;

    if (!s || !frame)
        return 0;
    count = s->stack.count;
    for (i = 0; i < OUTER_FRAMES; i++) {
        if (i >= count)
            return 0;
        if (s->walk.frames[(count - 1 - i) & (MAX_FRAMES - 1)] == frame)
            return 1;
    }
    return 0;
}

/* The frame that a task's coroutine runs in; 0 when it cannot be read. */
static __always_inline __u64 task_frame(__u64 task, __u16 coro, __u16 at, bool inside) {
    __u64 coroutine, frame;

    if (read_u64(&coroutine, task + coro) || !coroutine)
        return 0;
    if (inside)
        return coroutine + at;
    if (read_u64(&frame, coroutine + at))
        return 0;
    return frame;
}

static __always_inline __u64 frame_of(const struct asyncio *asyncio, __u64 task) {
    return task_frame(task, asyncio->task_coro, asyncio->coro_frame, asyncio->frame_inside);
}

/* Copies the newest entries of the dict to `s->object.data`; returns how many, or -1. */
static __always_inline int current_tasks(struct scratch *s, const struct asyncio *asyncio,
                                         __u32 head) {
    __u64 keys, indices, count, size;
    __u8 log = 0;

    if (read_u64(&keys, asyncio->current_tasks + head + DICT_KEYS) ||
        read_u64(&count, keys + asyncio->keys_count))
        return -1;
    if (asyncio->keys_log != ABSENT) {
        if (bpf_probe_read_user(&log, 1, (void *)(keys + asyncio->keys_log)))
            return -1;
        indices = 1ULL << (log & 31);
    } else {
        if (read_u64(&indices, keys + asyncio->keys_size))
            return -1;
        indices *= indices <= 0xff ? 1 : indices <= 0xffff ? 2 : 4;
    }
    keys += asyncio->keys_indices + indices;
    if (count > TASKS) {
        keys += (count - TASKS) * ENTRY_SIZE;
        count = TASKS;
    }
    size = count * ENTRY_SIZE;
    barrier_var(size); /* else clang drops the bound that the verifier asks for */
    if (size > TASKS * ENTRY_SIZE)
        return -1;
    if (size && bpf_probe_read_user(s->object.data, size, (void *)keys))
        return -1;
    return count;
}

/* Copies the task's name into `event`, its width as the event's mode: 0 for the number of a task
 * that nobody has asked for its name. */
static __always_inline int read_task_name(struct event_object *event, __u64 at,
                                          const struct layout *layout) {
    __u64 name, type, flags, size, tag;
    struct text text;

    __builtin_memset(event->data, 0, TASK_NAME_MAX);
    if (read_u64(&name, at) || read_u64(&type, name + layout->ob_type) ||
        read_u64(&flags, type + layout->ob_size + TYPE_FLAGS))
        return -1;
    event->cut = event->mode = 0;
    event->size = 8;
    if (flags & INT_SUBCLASS) { /* from 3.12 on: a tag, and digits of 30 bits */
        if (read_u64(&tag, name + layout->ob_size))
            return -1;
        /* Behind the digits that it has, memory holds what was there before. */
        size = tag >> INT_TAG_BITS;
        if (size > 2)
            return -1;
        return bpf_probe_read_user(event->data, size * 4,
                                   (void *)(name + layout->ob_size + INT_DIGITS));
    }
    if (!(flags & STR_SUBCLASS))
        return -1;
    read_text(&text, event->data, TASK_NAME_MAX, name, layout);
    if (!text.kind || (text.length && !text.size))
        return -1;
    event->mode = text.kind;
    size = text.length * text.kind;
    event->cut = size > text.size;
    event->size = text.size;
    return 0;
}

/* The object of the name in `s->object`. */
static __always_inline __u64 task_object(struct scratch *s, __u32 process, __u32 *named) {
    __u64 id = mixed(mixed(mixed(0x7461736b, process), s->object.mode), s->object.size);
    struct object_life *life, fresh = {.process = process};
    int i;

    for (i = 0; i < TASK_NAME_MAX / 8; i++)
        id = mixed(id, ((__u64 *)s->object.data)[i]);
    id |= 1;
    life = bpf_map_lookup_elem(&task_names, &id);
    if (!life) {
        if (*named < NAMES && !bpf_map_update_elem(&task_names, &id, &fresh, BPF_NOEXIST))
            life = bpf_map_lookup_elem(&task_names, &id);
        if (!life) {
            count(TASK_NAMES_FULL);
            return 0;
        }
        __sync_fetch_and_add(named, 1);
    }
    count(TASK_NAMED);
    if (life->sent)
        return id;
    s->object.inode = 0;
    s->object.device = 0;
    describe(&s->object, life, process, id, OBJECT_TASK);
    return id;
}

/* The object of the task whose name is at `name`; 0 where that cannot be read. */
static __always_inline __u64 named_task(struct scratch *s, __u64 name, __u32 process, __u32 *named,
                                        const struct layout *layout) {
    count(TASK_EMITTED);
    if (!read_task_name(&s->object, name, layout))
        return task_object(s, process, named);
    count(TASK_UNREADABLE);
    return 0;
}

__attribute__((noinline)) __u64 asyncio_task(__u32 tgid, __u32 user) {
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);
    struct scratch *s = scratch_of(user);
    struct asyncio *asyncio;
    __u64 task = 0;
    int i, entries;

    if (!target || !s)
        return 0;
    asyncio = bpf_map_lookup_elem(&asyncios, &target->space);
    if (!asyncio)
        return 0;
    if (asyncio->running_task) {
        __u64 state = thread_state(bpf_get_current_task_btf(), &target->layout);

        entries = state && !read_u64(&task, state + asyncio->running_task) ? 1 : -1;
        if (task && !walked(frame_of(asyncio, task), user))
            task = 0;
    } else {
        entries = current_tasks(s, asyncio, target->layout.ob_size);
        for (i = 0; i < TASKS; i++) {
            if (i >= entries)
                break;
            task = *(__u64 *)(s->object.data + i * ENTRY_SIZE + 16);
            if (task && walked(frame_of(asyncio, task), user))
                break;
            task = 0; /* taken out, or another thread's */
        }
    }
    if (entries < 0) {
        count(TASK_EMITTED);
        count(TASK_UNREADABLE);
    }
    if (entries < 0 || !task)
        return 0;
    return named_task(s, task + asyncio->task_name, asyncio->process, &asyncio->named,
                      &target->layout);
}

/* Whether `frame` runs `code`. Global, as is what looks at one local variable: the verifier looks
 * at either once, and not at each turn of a loop. */
__attribute__((noinline)) int frame_runs(__u64 frame, __u64 code, __u32 user) {
    struct scratch *s = scratch_of(user);
    __u64 runs;

    return s && !read_u64(&runs, frame + s->walk.layout.code) && (runs & ~TAG) == code;
}

/* Whether `task` is one of trio's, and its coroutine's frame on the walked stack. */
__attribute__((noinline)) int is_trio_task(__u64 task, __u32 space, __u32 user) {
    struct trio *trio = bpf_map_lookup_elem(&trios, &space);
    struct scratch *s = scratch_of(user);
    __u64 type;

    if (!trio || !s || !task || read_u64(&type, task + s->walk.layout.ob_type) ||
        type != trio->task_type)
        return 0;
    return walked(task_frame(task, trio->task_coro, trio->coro_frame, trio->frame_inside), user);
}

/* The frame on the walked stack in which `code` runs; 0 where there is none. */
__attribute__((noinline)) __u64 walked_frame_of(__u64 code, __u32 user) {
    struct scratch *s = scratch_of(user);
    __u32 count, i;
    __u64 frame;

    if (!s)
        return 0;
    count = s->stack.count;
    for (i = 0; i < OUTER_FRAMES; i++) {
        if (i >= count)
            return 0;
        frame = s->walk.frames[(count - 1 - i) & (MAX_FRAMES - 1)];
        if (frame_runs(frame, code, user))
            return frame;
    }
    return 0;
}

__attribute__((noinline)) __u64 trio_task(__u32 tgid, __u32 user) {
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);
    struct scratch *s = scratch_of(user);
    struct trio *trio;
    __u64 frame, task = 0;
    int i;

    if (!target || !s)
        return 0;
    trio = bpf_map_lookup_elem(&trios, &target->space);
    if (!trio)
        return 0;
    frame = walked_frame_of(trio->driver, user);
    if (!frame || bpf_probe_read_user(s->object.data, LOCALS * 8, (void *)(frame + trio->locals)))
        return 0;
    for (i = 0; i < LOCALS; i++) {
        task = *(__u64 *)(s->object.data + i * 8) & ~TAG;
        if (is_trio_task(task, target->space, user))
            break;
        task = 0;
    }
    if (!task)
        return 0;
    return named_task(s, task + trio->task_name, trio->process, &trio->named, &target->layout);
}

/* The object of the task that the thread runs whose stack was just walked; 0 where there is none.
 */
__attribute__((noinline)) __u64 running_task(__u32 tgid, __u32 user) {
    __u64 task = asyncio_task(tgid, user);

    return task ? task : trio_task(tgid, user);
}
