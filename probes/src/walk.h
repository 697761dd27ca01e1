/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The walk of a CPython stack.
 *
 * 3.11+ keeps frames in chunks, the innermost at the highest address: one read of the
 * page up to the innermost frame brings many, and the walk goes on inside the copy. A frame that
 * lies elsewhere (a generator's, another chunk, every frame before 3.11) is read for itself.
 */
#pragma once

#include "code.h"
#include "native.h"

/* A page: what is mapped, is mapped in pages of at least this. */
#define WINDOW 4096
#define SPARE  256
/* Frames that are objects of their own are neighbours below this, and so many are read with one. */
#define NEAR       1024
#define NEIGHBOURS 3
/* Bits of a pointer to an object that may be a tag (3.14+). */
#define TAG 7ULL
/* Frames that one call of `walk_some` takes, and the calls that one walk makes at most. */
#define BATCH   6
#define BATCHES (MAX_FRAMES / BATCH + 1)

/*
 * Reads a window in which `frame` is whole: from the start of its page on, which is mapped because
 * the frame is. A read that begins further down may fault, and a fault costs more than all the
 * rest. Frames that are objects of their own may be anywhere, but calls that were first made one
 * after the other have theirs side by side: where this one lies a little below the one before it,
 * the next few are looked for below this one.
 */
static __always_inline long refill(struct walk *w, __u64 frame) {
    __u64 page = frame & ~(WINDOW - 1ULL), apart = w->low - frame, size = w->layout.frame_size;

    w->low = frame;
    if (w->layout.contiguous || (apart < NEAR && frame - NEIGHBOURS * apart < page))
        w->low = page;
    else if (apart < NEAR)
        w->low = frame - NEIGHBOURS * apart;
    size += frame - w->low;
    barrier_var(size); /* else clang drops the bound that the verifier asks for */
    if (size > WINDOW + SPARE)
        size = WINDOW + SPARE;
    w->size = size;
    return bpf_probe_read_user(w->window, size, (void *)w->low);
}

/* The thread state of the running thread, or 0. */
static __always_inline __u64 thread_state(struct task_struct *task, const struct layout *layout) {
    __u64 array = thread_pointer(task), state;

    if (!layout->ready)
        return 0;
    if (layout->slot_array != ABSENT && (read_u64(&array, array + layout->slot_array) || !array))
        return 0;
    if (layout->slot_block != ABSENT && (read_u64(&array, array + layout->slot_block) || !array))
        return 0;
    if (read_u64(&state, array + layout->slot))
        return 0;
    return state;
}

/* The innermost frame of the running thread, or 0. */
static __always_inline __u64 innermost_frame(struct task_struct *task,
                                             const struct layout *layout) {
    __u64 state = thread_state(task, layout), at, frame = 0;

    if (!state)
        return 0;
    at = state + layout->frame;
    if (layout->cframe != ABSENT) {
        if (read_u64(&at, state + layout->cframe) || !at)
            return 0;
        at += layout->frame;
    }
    if (read_u64(&frame, at))
        return 0;
    return frame;
}

/*
 * The thread's own copy of the instructions of `code`, which `copies` leads to behind the array's
 * length; 0 when it cannot be read. Global, as is `walk_some`.
 */
__attribute__((noinline)) __u64 own_bytecode(__u64 copies, __u32 index) {
    __u64 array, own;

    if (read_u64(&array, copies) || read_u64(&own, array + 8 + 8ULL * index))
        return 0;
    return own;
}

/*
 * Walks the next frames; returns 0 while there are more. Global, so that the verifier looks at a
 * batch once and not at each frame of the deepest stack; its state is in the work space, because
 * 5.10 refuses pointers as arguments here.
 */
__attribute__((noinline)) int walk_some(__u32 tgid, __u32 user) {
    struct scratch *s = scratch_of(user);
    struct walk *w;
    __u64 frame;
    __u32 n;
    int i;

    if (!s)
        return 1;
    w = &s->walk;
    frame = w->frame;
    n = s->stack.count;
    for (i = 0; i < BATCH; i++) {
        __u64 offset = frame - w->low, code, instruction, previous, id, mixed, own;
        struct code_cached *cached;
        __u32 copy, slot;
        __u8 *at;

        if (!frame) {
            w->status = STACK_COMPLETE;
            break;
        }
        if (offset + w->layout.frame_size > w->size || offset >= WINDOW) {
            if (refill(w, frame)) {
                w->status = STACK_UNREADABLE;
                break;
            }
            offset = frame - w->low;
        }
        if (n >= MAX_FRAMES)
            break;
        at = w->window + (offset & (WINDOW - 1));
        previous = *(__u64 *)(at + w->layout.previous);
        code = *(__u64 *)(at + w->layout.code) & ~TAG;
        frame = previous;
        if (at[w->layout.owner] >= w->layout.shim_owner)
            continue;
        if (w->layout.instruction_bytes == 4)
            instruction = *(__u32 *)(at + w->layout.instruction);
        else
            instruction = *(__u64 *)(at + w->layout.instruction) - code - w->layout.co_bytecode;
        if (w->layout.bytecode_index && (copy = *(__u32 *)(at + w->layout.bytecode_index))) {
            own = own_bytecode(code + w->layout.co_bytecode_copies, copy);
            if (!own) {
                w->status = STACK_UNREADABLE;
                break;
            }
            instruction += code + w->layout.co_bytecode - own;
        }
        cached = cached_code(code, w->space);
        id = cached->id;
        if (cached->check != cache_check(code, w->space, id))
            id = learn_code(code, tgid, user);
        if (!id && is_anywhere(user)) {
            w->status = STACK_UNREADABLE;
            break;
        }
        slot = n;
        barrier_var(slot); /* else clang drops the bound that the verifier asks for */
        slot &= MAX_FRAMES - 1;
        s->stack.frames[slot].code = id;
        s->stack.frames[slot].instruction = instruction;
        w->frames[slot] = w->low + offset;
        n++;
        /* What a frame adds is mixed for itself, so that the next one waits for one step only. */
        mixed = ((id ? id : code) ^ instruction * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;
        w->hash = (w->hash ^ mixed ^ mixed >> 32) * 0xc4ceb9fe1a85ec53ULL;
    }
    s->stack.count = n;
    w->frame = frame;
    return i < BATCH;
}

static __always_inline long send_stack(struct scratch *s, __u64 id) {
    __u64 size = s->stack.count;

    count(STACK_EMITTED);
    s->stack.header.type = EVENT_STACK;
    s->stack.header.process = s->walk.process;
    s->stack.header.time_ns = 0;
    s->stack.id = id;
    if (size > MAX_FRAMES)
        size = MAX_FRAMES;
    size = __builtin_offsetof(struct event_stack, frames) + size * sizeof(struct frame);
    if (send(&s->stack, size)) {
        count(STACK_RING_FULL);
        return -1;
    }
    return 0;
}

static __always_inline void book_opened(struct site *site, __u64 now) {
    __sync_fetch_and_add(&site->opened, 1);
    if (!site->first_ns)
        site->first_ns = now;
    site->last_ns = now;
}

/*
 * The key of the site for a stack: the stack itself, once its frames are with the agent; the
 * process's collector of what has no stack, where there is none or no room.
 */
static __always_inline __u64 site_of(struct scratch *s, __u64 stack, __u32 user) {
    struct site *site = bpf_map_lookup_elem(&sites, &stack);

    if (!site) {
        s->site.process = s->walk.process; /* the rest of it stays zero */
        if (bpf_map_update_elem(&sites, &stack, &s->site, BPF_NOEXIST) == -7 /* E2BIG: full */) {
            count(STACK_EMITTED);
            count(STACK_SITES_FULL);
            return s->walk.process;
        }
        site = bpf_map_lookup_elem(&sites, &stack);
    }
    if (!site)
        return stack;
    if (s->opens) {
        book_opened(site, s->now);
        s->booked = 1;
    }
    if (!site->sent && !send_stack(s, stack))
        site->sent = 1;
    native_part(site, stack, user);
    return stack;
}

/* The walk of `stack_of`. Global, as is much that many paths lead to: the verifier looks at it
 * once, and the load stays short. */
__attribute__((noinline)) __u64 walk(__u32 tgid, __u32 user) {
    struct scratch *s = scratch_of(user);
    struct walk *w;
    int i;

    if (!s)
        return 0;
    w = &s->walk;
    s->stack.count = 0;
    w->frame = innermost_frame(bpf_get_current_task_btf(), &w->layout);
    if (!w->frame) {
        s->stack_status = STACK_NO_THREAD_STATE;
        count(WALK_NO_THREAD_STATE);
        return w->process;
    }
    w->hash = w->space * 0x9e3779b97f4a7c15ULL;
    w->low = w->size = 0;
    w->status = STACK_TRUNCATED;
    for (i = 0; i < BATCHES; i++)
        if (walk_some(tgid, user))
            break;
    s->stack.truncated = w->status != STACK_COMPLETE;
    s->stack_status = w->status;
    count(w->status == STACK_COMPLETE    ? WALK_COMPLETE
          : w->status == STACK_TRUNCATED ? WALK_TRUNCATED
                                         : WALK_UNREADABLE);
    /* A sample that went astray is nobody's: half of its frames may be what a stack was before. */
    if (!s->stack.count || (is_anywhere(user) && w->status == STACK_UNREADABLE))
        return w->process;
    return site_of(s, (w->hash ^ w->hash >> 33 ^ w->status) | 1ULL << 63, user);
}

/*
 * Walks the stack of the running thread into `s->stack` and returns the key of its site; what
 * became of the walk goes to `s->stack_status` and its counter.
 */
static __always_inline __u64 stack_of(struct scratch *s, const struct target *target, __u32 tgid,
                                      __u32 user) {
    struct walk *w = &s->walk;

    /* A layout is the same for as long as its address space, once it is known. */
    if (w->space != target->space || !w->layout.ready) {
        w->layout = target->layout;
        w->process = target->process;
        w->space = target->space;
    }
    return walk(tgid, user);
}
