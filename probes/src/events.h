/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* The events of the ring buffer, for both sides. */
#pragma once

#include "pitviper.h"

enum event_type {
    EVENT_CODE = 1,
    EVENT_STACK,
    EVENT_DESCRIPTOR,
    EVENT_PROCESS,
    EVENT_OBJECT,
    EVENT_CHILD,
    EVENT_NATIVE,
};

struct event_header {
    __u32 type;
    __u32 process;
    __u64 time_ns;
};

struct text {
    __u64 address;
    __u64 length; /* of the whole, in code points or bytes */
    __u32 size;   /* bytes that follow here */
    __u32 kind;   /* bytes a code point; 0: unreadable */
};

struct event_code {
    struct event_header header;
    __u64 id;
    __u64 address;
    __u32 space;
    __s32 first_line;
    __u32 flags;
    __u32 first_traceable;
    struct text filename;
    struct text name;
    struct text qualname;
    struct text line_table;
    __u8 filename_data[FILENAME_MAX];
    __u8 name_data[NAME_MAX];
    __u8 qualname_data[NAME_MAX];
    __u8 line_table_data[TABLE_MAX]; /* sent as far as it is filled */
};

struct frame {
    __u64 code;
    __u64 instruction;
};

struct event_stack {
    struct event_header header;
    __u64 id;
    __u32 count;
    __u32 truncated;
    struct frame frames[MAX_FRAMES]; /* sent as far as they are filled */
};

enum descriptor_change {
    CHANGE_OPENED = 0,
    CHANGE_CLOSED,
    CHANGE_FAILED,
    CHANGE_NONE, /* a call that makes and ends no descriptor */
};

enum stack_status {
    STACK_COMPLETE = 0,
    STACK_TRUNCATED,
    STACK_UNREADABLE,
    STACK_NO_THREAD_STATE,
};

struct event_descriptor {
    struct event_header header;
    __u64 began_ns; /* 0: not seen */
    __u64 stack;
    __s64 result;
    __u64 arguments[6];
    __u32 tgid;
    __u32 tid;
    __s32 fd;
    __u16 call;
    __u16 mode;
    __u8 change;
    __u8 stack_status;
    __u16 path_size;
    __u32 pad;
    __u8 path[PATH_MAX]; /* sent as far as it is filled */
};

enum process_change {
    PROCESS_FORKED = 0,
    PROCESS_EXECUTED,
    PROCESS_EXITED,
};

struct event_process {
    struct event_header header;
    __u32 tgid;
    __u32 change;
    __u32 parent;
    __u32 pad;
};

enum child_change {
    CHILD_BORN = 0,
    CHILD_EXECUTED,
    CHILD_ENDED,
};

/* A child, in a trace of more than descriptors. */
struct event_child {
    struct event_header header; /* of the traced process that made it */
    __u64 stack;
    __u64 command;
    __u64 born_ns;
    __u32 tgid;
    __u32 parent;
    __u32 change;
    __u32 status;
};

#define OBJECT_MAX    4096
#define TASK_NAME_MAX 64

/*
 * What acts are about. A file: the names on its path, innermost first, each ended by '/'. A peer: a
 * struct sockaddr. A command: its argv, each ended by a NUL. A task: its name's code points of
 * `mode` bytes each; with mode 0 a number, in two digits of 30 bits, of which the name is made.
 */
struct event_object {
    struct event_header header;
    __u64 id;
    __u64 inode;
    __u32 device; /* as the kernel has it: major << 20 | minor */
    __u16 kind;
    __u16 mode;
    __u32 size;
    __u32 cut;
    __u8 data[OBJECT_MAX]; /* sent as far as it is filled */
};

/* Bytes of a thread's stack that are looked at, from its top. */
#define NATIVE_STACK (16 << 10)
/* Below the top of the stack functions that call no others may keep something, too. */
#define RED_ZONE 128
/* In `call`: no syscall, but a sample. */
#define NATIVE_SAMPLE 0xffff

/* Where a thread stood when a stack was met, for its native frames. */
struct event_native {
    struct event_header header;
    __u64 id; /* of the stack */
    __u64 pc;
    __u64 sp;
    __u64 fp;
    __u64 lr;  /* where the architecture has one */
    __u64 low; /* the address of the first byte that follows */
    __u32 call;
    __u32 size;
    __u8 stack[NATIVE_STACK]; /* filled as far as `size` says */
};
