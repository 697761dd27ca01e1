/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * What stacks do, summed in the kernel: the agent's work follows how many different things are
 * done, not how often. What an act is about (a file, a peer, a command) is an object, described to
 * the agent once.
 */
#pragma once

#include "walk.h"

static __always_inline __u64 mixed(__u64 hash, __u64 value) {
    hash = (hash ^ value) * 0xff51afd7ed558ccdULL;
    return hash ^ (hash >> 32);
}

/* The sum of an act, made if there is room; NULL where there is none, which is counted. */
static __always_inline struct act_sum *act_sum(__u32 process, __u64 stack, __u16 act, __u64 object,
                                               __u16 call, __u64 now) {
    struct act_key key = {
        .stack = stack, .object = object, .process = process, .act = act, .call = call};
    struct act_sum *sum;

    count(ACT_EMITTED);
    sum = bpf_map_lookup_elem(&acts, &key);
    if (!sum) {
        sum = begun(&acts, &key);
        if (sum)
            sum->first_ns = now;
    }
    if (!sum) {
        count(ACT_FULL);
        return 0;
    }
    __sync_fetch_and_add(&sum->count, 1);
    sum->last_ns = now;
    return sum;
}

/* Adds what most acts have. */
static __always_inline void act_add(struct act_sum *sum, __u64 bytes, __u64 ns) {
    if (bytes)
        __sync_fetch_and_add(&sum->bytes, bytes);
    __sync_fetch_and_add(&sum->ns, ns);
    if (ns > sum->max_ns)
        sum->max_ns = ns;
}

/* The same of an act that somebody may be blamed for. */
static __always_inline void act_blames(struct act_sum *sum, __u64 ns, __u64 queued_ns) {
    act_add(sum, 0, ns);
    __sync_fetch_and_add(&sum->queued_ns, queued_ns);
}

/* Whether `id` must still be described. A full table is counted, and the object stays unnamed. */
static __always_inline struct object_life *undescribed(__u64 id, __u32 process) {
    struct object_life *life = bpf_map_lookup_elem(&objects, &id), fresh = {.process = process};

    if (life)
        return life->sent ? 0 : life;
    bpf_map_update_elem(&objects, &id, &fresh, BPF_NOEXIST);
    life = bpf_map_lookup_elem(&objects, &id);
    if (!life) {
        count(OBJECT_EMITTED);
        count(OBJECT_FULL);
    }
    return life;
}

static __always_inline void describe(struct event_object *event, struct object_life *life,
                                     __u32 process, __u64 id, __u16 kind) {
    __u64 size = event->size;

    event->header.type = EVENT_OBJECT;
    event->header.process = process;
    event->header.time_ns = 0;
    event->id = id;
    event->kind = kind;
    count(OBJECT_EMITTED);
    if (size > OBJECT_MAX)
        size = OBJECT_MAX;
    if (send(event, __builtin_offsetof(struct event_object, data) + size))
        count(OBJECT_RING_FULL);
    else
        life->sent = 1;
}

/* ---- files ---- */

#define NAME_BYTES 256
/* Names of a path that are looked at, and mounts that are crossed, together. */
#define PATH_STEPS 48

/* A path on its way: from the file outwards. */
struct path_walk {
    struct event_object *event;
    struct dentry *dentry;
    struct vfsmount *mount;
};

static long path_step(__u64 i, void *context) {
    struct path_walk *w = context;
    struct dentry *dentry = w->dentry, *parent, *root;
    struct event_object *event = w->event;
    struct vfsmount *within = w->mount;
    const unsigned char *name;
    __u64 at = event->size;
    __u32 length;

    root = BPF_CORE_READ(within, mnt_root);
    if (dentry == root) {
        struct mount *mount = (void *)within - bpf_core_field_offset(struct mount, mnt);
        struct mount *above = BPF_CORE_READ(mount, mnt_parent);

        if (!above || above == mount)
            return 1;
        w->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
        w->mount = (void *)above + bpf_core_field_offset(struct mount, mnt);
        return 0;
    }
    parent = BPF_CORE_READ(dentry, d_parent);
    if (!parent || parent == dentry)
        return 1;
    length = BPF_CORE_READ(dentry, d_name.len);
    name = BPF_CORE_READ(dentry, d_name.name);
    if (length >= NAME_BYTES || at > OBJECT_MAX - NAME_BYTES - 1) {
        event->cut = 1;
        return 1;
    }
    barrier_var(at);
    if (at > OBJECT_MAX - NAME_BYTES - 1)
        return 1;
    if (bpf_probe_read_kernel(event->data + at, length & (NAME_BYTES - 1), name)) {
        event->cut = 1;
        return 1;
    }
    at += length & (NAME_BYTES - 1);
    if (at > OBJECT_MAX - 1)
        return 1;
    event->data[at] = '/';
    event->size = at + 1;
    w->dentry = parent;
    return 0;
}

static __always_inline void modified_of(struct inode *inode, __s64 *seconds, __u32 *ns) {
    if (bpf_core_field_exists(inode->i_mtime_sec)) {
        *seconds = BPF_CORE_READ(inode, i_mtime_sec);
        *ns = BPF_CORE_READ(inode, i_mtime_nsec);
    } else if (bpf_core_field_exists(((struct inode___one *)inode)->__i_mtime)) {
        *seconds = BPF_CORE_READ((struct inode___one *)inode, __i_mtime.tv_sec);
        *ns = BPF_CORE_READ((struct inode___one *)inode, __i_mtime.tv_nsec);
    } else {
        *seconds = BPF_CORE_READ((struct inode___two *)inode, i_mtime.tv_sec);
        *ns = BPF_CORE_READ((struct inode___two *)inode, i_mtime.tv_nsec);
    }
}

/* What is asked of an inode all the time, by one read. */
struct inode_facts {
    struct inode *inode; /* NULL: there is none */
    __u64 number;
    __u64 filesystem; /* its superblock */
    __u32 mode;
    __u32 generation;
};

static __always_inline void inode_facts(struct scratch *s, struct inode_facts *facts,
                                        struct file *file) {
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    __u8 *head = s->inode;
    __u64 offset;

    facts->inode = inode;
    facts->generation = BPF_CORE_READ(inode, i_generation);
    if (bpf_core_field_offset(struct inode, i_ino) <= INODE_HEAD - 8 &&
        bpf_core_field_offset(struct inode, i_sb) <= INODE_HEAD - 8 &&
        bpf_core_field_offset(struct inode, i_mode) <= INODE_HEAD - 8) {
        if (bpf_probe_read_kernel(head, INODE_HEAD, inode)) {
            facts->inode = 0;
            return;
        }
        offset = bpf_core_field_offset(struct inode, i_ino) & (INODE_HEAD - 8);
        facts->number = *(__u64 *)(head + offset);
        offset = bpf_core_field_offset(struct inode, i_sb) & (INODE_HEAD - 8);
        facts->filesystem = *(__u64 *)(head + offset);
        offset = bpf_core_field_offset(struct inode, i_mode) & (INODE_HEAD - 2);
        facts->mode = *(__u16 *)(head + offset);
        return;
    }
    facts->number = BPF_CORE_READ(inode, i_ino);
    facts->filesystem = (__u64)BPF_CORE_READ(inode, i_sb);
    facts->mode = BPF_CORE_READ(inode, i_mode);
}

/* Tells the agent of a file: its path and its numbers. */
__attribute__((noinline)) int describe_file(__u64 address, __u64 id, __u32 process) {
    struct object_life *life = undescribed(id, process);
    struct scratch *s = scratch_of(SCRATCH_SYSCALL);
    struct file *file = (struct file *)address;
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    struct path_walk walk = {};

    if (!life || !s)
        return 0;
    s->object.inode = BPF_CORE_READ(inode, i_ino);
    s->object.device = BPF_CORE_READ(inode, i_sb, s_dev);
    s->object.mode = BPF_CORE_READ(inode, i_mode);
    s->object.size = s->object.cut = 0;
    walk.event = &s->object;
    walk.dentry = BPF_CORE_READ(file, f_path.dentry);
    walk.mount = BPF_CORE_READ(file, f_path.mnt);
    if (bpf_core_enum_value_exists(enum bpf_func_id___probe, BPF_FUNC_loop___probe))
        bpf_loop(PATH_STEPS, path_step, &walk, 0);
    else
        s->object.cut = 1;
    describe(&s->object, life, process, id, OBJECT_FILE);
    return 0;
}

/* Acts of one sort between two looks whether their object has been described. */
#define DESCRIBE_EACH 1024

/*
 * The object of a file: the inode, as this process knows it, with its generation, for the number of
 * a deleted file is given to the next one. Its name is told to the agent when it is first met; a
 * file that is renamed afterwards keeps the name that it had.
 */
static __always_inline __u64 file_id(const struct inode_facts *facts, __u32 process) {
    __u64 life = (__u64)facts->generation << 32 | process;

    return mixed(mixed(mixed(0x66696c65, facts->number), facts->filesystem), life) | 1;
}

__attribute__((noinline)) __u64 file_object(__u64 address, __u32 process) {
    struct file *file = (struct file *)address;
    struct scratch *s = scratch_of(SCRATCH_SYSCALL);
    struct inode_facts facts = {};
    struct object_life *known;
    __u64 id;

    if (!s)
        return 0;
    inode_facts(s, &facts, file);
    id = file_id(&facts, process);
    known = bpf_map_lookup_elem(&objects, &id);
    if (!known || !known->sent)
        describe_file(address, id, process);
    return id;
}

/* ---- bytes: peers and commands ---- */

#define BYTES_MAX 1024

struct hashing {
    struct scratch *s;
    __u64 hash;
    __u32 size;
    __u32 pad;
};

static long hash_word(__u64 i, void *context) {
    struct hashing *h = context;
    __u32 at = i * 8, left = h->size - at;
    __u64 word = *(__u64 *)(h->s->object.data + (at & (BYTES_MAX - 8)));

    if (left < 8)
        word &= (1ULL << left * 8) - 1;
    h->hash = mixed(h->hash, word);
    return 0;
}

/* The object that the first `size` bytes of `s->object.data` are. */
__attribute__((noinline)) __u64 bytes_object(__u32 process, __u32 kind, __u32 size) {
    struct scratch *s = scratch_of(SCRATCH_SYSCALL);
    struct hashing hashing = {.s = s, .hash = mixed(mixed(0x62797465, kind), process)};
    struct object_life *life;
    __u64 id;

    if (!s)
        return 0;
    if (size > BYTES_MAX)
        size = BYTES_MAX;
    hashing.size = size;
    /* Before 5.17 all of a kind are one. */
    if (bpf_core_enum_value_exists(enum bpf_func_id___probe, BPF_FUNC_loop___probe))
        bpf_loop((size + 7) / 8, hash_word, &hashing, 0);
    id = hashing.hash | 1;
    life = undescribed(id, process);
    if (!life)
        return id;
    s->object.inode = 0;
    s->object.device = s->object.mode = 0;
    s->object.size = size;
    describe(&s->object, life, process, id, kind);
    return id;
}
