/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * One object, so that all programs share the maps. Each header is one concern; the order is that of
 * the data: maps, code objects, the walk, the ledger, and the programs that feed it.
 */
#include "kernel.h"
#include "pitviper.h"
#include "events.h"
#include "arch.h"
#include "syscalls.h"
#include "implicit_close.h"
#include "processes.h"
#include "reconcile.h"
#include "samples.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Names the types that only travel by ring buffer, so that they reach the object's BTF. */
const struct event_code *unused_event_code __attribute__((unused));
const struct event_stack *unused_event_stack __attribute__((unused));
const struct event_descriptor *unused_event_descriptor __attribute__((unused));
const struct event_object *unused_event_object __attribute__((unused));
const struct asyncio *unused_asyncio __attribute__((unused));
const struct event_process *unused_event_process __attribute__((unused));
const struct event_native *unused_event_native __attribute__((unused));
const struct event_child *unused_event_child __attribute__((unused));
const enum call_class unused_call_class __attribute__((unused)) = CALL_IGNORED;
const enum wait_class unused_wait_class __attribute__((unused)) = WAIT_NONE;
const enum act unused_act __attribute__((unused)) = ACT_NONE;
const enum descriptor_origin unused_origin __attribute__((unused)) = ORIGIN_TRACED;
const enum mapped unused_mapped __attribute__((unused)) = MAPPED_ANONYMOUS;
const enum object_kind unused_object_kind __attribute__((unused)) = OBJECT_FILE;
const enum counter unused_counter __attribute__((unused)) = COUNTERS;
const enum child_change unused_child_change __attribute__((unused)) = CHILD_BORN;
const enum native_frames unused_native_frames __attribute__((unused)) = NATIVE_OFF;
const enum event_type unused_event_type __attribute__((unused)) = EVENT_CODE;
