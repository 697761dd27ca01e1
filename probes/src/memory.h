/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Memory as it is mapped: each mapping belongs to the stack that made it until it is unmapped. What
 * lies between (a heap's free lists, pymalloc's arenas) is not seen here.
 */
#pragma once

#include "call.h"

#define PAGE_SIZE     4096
#define MAP_FIXED     0x10
#define MAP_ANONYMOUS 0x20
#define MAP_STACK     0x20000

static __always_inline __u64 pages(__u64 bytes) {
    return (bytes + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1ULL);
}

/* Adds bytes to what the stack of `mapping` has mapped or unmapped. */
static __noinline int map_act(struct call *c, const struct mapping *mapping, __u16 act,
                              __u64 bytes) {
    struct act_sum *sum =
        act_sum(c->target->process, mapping->stack, act, mapping->object, mapping->kind, c->now);

    if (sum)
        act_add(sum, bytes, 0);
    return 0;
}

/* The same of what no line is known to have mapped. */
static __always_inline void unmap_unknown(struct call *c, __u64 bytes) {
    struct mapping unknown = {.stack = c->target->process, .kind = MAPPED_RESERVED};

    map_act(c, &unknown, ACT_UNMAP, bytes);
}

static __noinline int map_one(struct call *c, __u64 address, const struct mapping *mapping) {
    struct mapping_key key = {.process = c->target->process, .address = address};

    map_act(c, mapping, ACT_MAP, mapping->bytes);
    if (bpf_map_update_elem(&mappings, &key, mapping, BPF_ANY))
        count(MAPPING_FULL);
    return 0;
}

/* Takes `bytes` from `address` on out. Only a mapping that begins there is known by its line; the
 * rest is booked on the process. */
static __noinline int unmap_one(struct call *c, __u64 address, __u64 bytes) {
    struct mapping_key key = {.process = c->target->process, .address = address};
    struct mapping *known = bpf_map_lookup_elem(&mappings, &key), rest;

    if (!known) {
        unmap_unknown(c, bytes);
        return 0;
    }
    rest = *known;
    bpf_map_delete_elem(&mappings, &key);
    if (bytes < rest.bytes) {
        map_act(c, &rest, ACT_UNMAP, bytes);
        rest.bytes -= bytes;
        key.address += bytes;
        if (bpf_map_update_elem(&mappings, &key, &rest, BPF_ANY))
            count(MAPPING_FULL);
        return 0;
    }
    map_act(c, &rest, ACT_UNMAP, rest.bytes);
    if (bytes > rest.bytes) /* and neighbours */
        unmap_unknown(c, bytes - rest.bytes);
    return 0;
}

static __noinline int maps(struct call *c, struct pt_regs *regs, __u64 result) {
    __u64 flags = call_argument(regs, 3);
    struct mapping mapping = {.bytes = pages(call_argument(regs, 1)), .kind = MAPPED_ANONYMOUS};
    struct file *file;

    if (flags & MAP_FIXED) /* over what is mapped already */
        return 0;
    walk_once(c);
    mapping.stack = c->s->stack_id;
    if (!(flags & MAP_ANONYMOUS)) {
        mapping.kind = MAPPED_FILE;
        file = file_of(call_argument(regs, 4));
        if (file)
            mapping.object = file_object((__u64)file, c->target->process);
    } else if (flags & MAP_STACK) {
        mapping.kind = MAPPED_STACK;
    } else if (!call_argument(regs, 2)) {
        mapping.kind = MAPPED_RESERVED;
    }
    return map_one(c, result, &mapping);
}

static __noinline int remaps(struct call *c, struct pt_regs *regs, __u64 result) {
    struct mapping_key key = {.process = c->target->process, .address = call_argument(regs, 0)};
    struct mapping *known = bpf_map_lookup_elem(&mappings, &key);
    struct mapping mapping = {.bytes = pages(call_argument(regs, 2)), .kind = MAPPED_ANONYMOUS};

    if (known) {
        mapping.kind = known->kind;
        mapping.object = known->object;
    }
    walk_once(c);
    mapping.stack = c->s->stack_id;
    unmap_one(c, key.address, pages(call_argument(regs, 1)));
    return map_one(c, result, &mapping);
}

static __noinline int moves_heap(struct call *c, __u64 end) {
    struct mapping heap = {.kind = MAPPED_HEAP};
    __u64 before = c->target->brk;

    c->target->brk = end;
    if (!before || end == before)
        return 0;
    walk_once(c);
    heap.stack = c->s->stack_id;
    if (end > before)
        return map_act(c, &heap, ACT_MAP, pages(end) - pages(before));
    return map_act(c, &heap, ACT_UNMAP, pages(before) - pages(end));
}
