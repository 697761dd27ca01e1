/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * A pair of programs that do nothing: what any tracer of syscalls costs a process that it does not
 * trace. The benchmark holds the real probes against it.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int empty_enter(void *context) {
    (void)context;
    return 0;
}

SEC("raw_tp/sys_exit")
int empty_exit(void *context) {
    (void)context;
    return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
