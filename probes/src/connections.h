/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Connections: from connect(2), through to its result where the socket does not wait for it, to the
 * end of the descriptor (in the ledger of descriptors).
 */
#pragma once

#include "input_output.h"

#define EALREADY    114
#define EINPROGRESS 115
#define EISCONN     106
#define SOCKADDR    128

enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_CLOSE = 7 };

static __always_inline struct sock *sock_of(struct file *file) {
    struct socket *socket = BPF_CORE_READ(file, private_data);

    return BPF_CORE_READ(socket, sk);
}

static __noinline int connects(struct call *c, struct pt_regs *regs, __s64 result) {
    __u32 fd = call_argument(regs, 0), process = c->target->process;
    __u64 size = call_argument(regs, 2), address = call_argument(regs, 1), id;
    struct file *file = file_of(fd);
    struct connecting *pending = &c->s->connecting;
    struct descriptor *entry;
    struct socket *socket;
    struct act_sum *sum;
    struct sock *sk;
    __u8 state;

    if (result == -EISCONN || result == -EALREADY)
        return 0; /* asked again about one that is counted */
    if (!file || (mode_of(file) & S_IFMT) != S_IFSOCK || size < 2)
        return 0;
    if (size > SOCKADDR)
        size = SOCKADDR;
    barrier_var(size);
    if (size > SOCKADDR || bpf_probe_read_user(c->s->object.data, size, (void *)address))
        return 0;
    walk_once(c);
    id = bytes_object(process, OBJECT_PEER, size);
    sum = act_sum(process, c->s->stack_id, ACT_CONNECT, id, 0, c->now);
    if (!sum)
        return 0;
    socket = BPF_CORE_READ(file, private_data);
    sum->flags = BPF_CORE_READ(socket, type);
    sk = BPF_CORE_READ(socket, sk);
    state = BPF_CORE_READ(sk, __sk_common.skc_state);
    /* On loopback the answer is there before the call that did not wait for it is out. */
    if (result && (result != -EINPROGRESS || state == TCP_CLOSE)) {
        __sync_fetch_and_add(&sum->failed, 1);
        act_add(sum, 0, c->ns);
        return 0;
    }
    entry = use(c, fd, 0, 0);
    if (entry) {
        entry->peer = id;
        entry->connected_ns = c->now;
    }
    if (!result || state != TCP_SYN_SENT) {
        act_add(sum, 0, c->ns);
        return 0;
    }
    pending->stack = c->s->stack_id;
    pending->object = id;
    pending->began_ns = c->now - c->ns;
    pending->process = process;
    id = (__u64)sk;
    if (bpf_map_update_elem(&connecting, &id, pending, BPF_ANY))
        count(CONNECTING_FULL);
    return 0;
}

/* The result of a connect that was not waited for. Runs wherever the answer is handled. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(connect_result, const struct sock *sk, int from, int to) {
    struct act_key key = {.act = ACT_CONNECT};
    struct connecting *pending;
    struct act_sum *sum;
    __u64 id = (__u64)sk;

    if (from != TCP_SYN_SENT)
        return 0;
    pending = bpf_map_lookup_elem(&connecting, &id);
    if (!pending)
        return 0;
    key.stack = pending->stack;
    key.object = pending->object;
    key.process = pending->process;
    sum = bpf_map_lookup_elem(&acts, &key);
    if (sum) {
        act_add(sum, 0, bpf_ktime_get_ns() - pending->began_ns);
        if (to != TCP_ESTABLISHED)
            __sync_fetch_and_add(&sum->failed, 1);
    }
    bpf_map_delete_elem(&connecting, &id);
    return 0;
}
