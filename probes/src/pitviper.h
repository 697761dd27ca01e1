/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * What both sides share: values of maps, events of the ring buffer, counters. The Rust side takes
 * these types from the object's own BTF, through the generated skeleton: they cannot drift.
 */
#pragma once

#include "kernel.h"

/* ---- limits ---- */

#define MAX_SYSCALLS 512
#define MAX_FRAMES   256
#define CACHE_SIZE   8192
#define FILENAME_MAX 512
#define NAME_MAX     256
#define TABLE_MAX    4096
#define PATH_MAX     256
#define TYPE_MAX     64

/* An offset that this interpreter does not have. */
#define ABSENT 0xffff

/* ---- what a syscall does to descriptors ---- */

enum call_class {
    CALL_IGNORED = 0,
    CALL_OPENS,          /* returns a new descriptor */
    CALL_ACCEPTS,        /* the same, from the listener in argument 0 */
    CALL_OPENS_PATH0,    /* the same, with a path in argument 0 */
    CALL_OPENS_PATH1,    /* the same, with a path in argument 1 */
    CALL_OPENS_POSITIVE, /* returns a new descriptor or 0 (bpf, seccomp) */
    CALL_OPENS_URING,    /* io_uring_setup: from here on some calls go unseen */
    CALL_PAIR0,          /* writes two descriptors where argument 0 points */
    CALL_PAIR3,          /* writes two descriptors where argument 3 points */
    CALL_DUPLICATES,     /* dup2, dup3: closes argument 1 if it is open */
    CALL_FCNTL,          /* opens with F_DUPFD and F_DUPFD_CLOEXEC */
    CALL_IOCTL,          /* opens with TIOCGPTPEER */
    CALL_SIGNALFD,       /* opens if argument 0 is -1, else changes that one */
    CALL_RECVMSG,        /* may bring descriptors (SCM_RIGHTS) */
    CALL_RECVMMSG,       /* the same, for several messages */
    CALL_CLONE,          /* opens with CLONE_PIDFD, written where argument 2 points */
    CALL_CLONE3,         /* the same, by a struct that argument 0 points to */
    CALL_CLOSE,
    CALL_CLOSE_RANGE,
    CALL_USES, /* reads, writes or polls argument 0 */
};

/* What a syscall may wait for, by number; each class has its latency histogram. */
enum wait_class {
    WAIT_NONE = 0,
    WAIT_OPEN,
    WAIT_CLOSE,
    WAIT_READ,
    WAIT_WRITE,
    WAIT_RECEIVE,
    WAIT_SEND,
    WAIT_CONNECT,
    WAIT_ACCEPT,
    WAIT_POLL,
    WAIT_EPOLL,
    WAIT_LOCK,
    WAIT_CHILD,
    WAIT_SLEEP,
    WAIT_SYNC,
    WAIT_LIST, /* the names in a directory */
    WAIT_STAT,
    WAIT_RENAME, /* and what else changes a directory */
    WAIT_MAP,
    WAIT_CLASSES,
};

/* ---- the interpreter, as the walker sees it: offsets in bytes, ABSENT where there is none ---- */

struct layout {
    /* To the slot that holds the thread state: from the thread pointer, or from the array that the
     * pointer at `slot_array` behind the thread pointer leads to, or from the block that the
     * pointer at `slot_block` in that array leads to. */
    __s64 slot;
    __u16 slot_array;
    __u16 slot_block;
    __u16 cframe; /* 3.11, 3.12: thread state -> cframe, which then holds `frame` */
    __u16 frame;
    __u16 shim_owner; /* an owner of at least this is a frame of C, to skip; no byte is: there is no
                         owner */
    __u8 ready;
    __u8 str_kind_shift;
    /* In a frame: bytes, so that the verifier sees that they are within SPARE. */
    __u8 previous;
    __u8 code;
    __u8 instruction;
    __u8 instruction_bytes; /* 4: f_lasti; 8: a pointer into the bytecode */
    __u8 owner;
    __u8 frame_size;
    __u8 contiguous; /* frames lie in data-stack chunks, innermost highest */
    __u8
        bytecode_index; /* 3.14+, free-threaded: which copy of the bytecode runs; 0: there is one */
    __u16 co_filename;
    __u16 co_name;
    __u16 co_qualname;
    __u16 co_first_line;
    __u16 co_flags;
    __u16 co_line_table;
    __u16 co_bytecode;
    __u16 co_bytecode_copies;
    __u16 co_first_traceable;
    __u16 str_length;
    __u16 str_state;
    __u16 str_ascii;
    __u16 str_compact;
    __u16 bytes_size;
    __u16 bytes_data;
    __u16 ob_size; /* of the head that each object has */
    __u16 ob_type;
    __u16 tp_name;
    __u16 tp_base;
    __u16 tuple_items;
    __u16 co_variables;     /* a tuple of names, that of the first local variable first */
    __u16 frame_locals;     /* in a frame */
    __u64 resource_warning; /* the type's address; 0: Python's own warnings are not looked at */
};

/* ---- maps ---- */

/* A traced process. */
struct target {
    __u32 process; /* names this life of the process within a run */
    __u32 space;   /* names its address space: another after exec */
    __u32 follow;
    __u32 seed;   /* what is first seen up to this reconciliation was open before */
    __u32 warned; /* implicit closes whose close(2) has not come yet */
    __u32 uring;
    __s32 missed;  /* births that did not fit, and whose close is still to come */
    __u32 seen;    /* descriptors that reconciliations saw, in all of them */
    __u64 brk;     /* end of the heap, once a brk was seen */
    __u32 loops;   /* a thread of it has waited in a selector */
    __u32 touches; /* its page faults are sampled */
    struct layout layout;
};

struct descriptor_key {
    __u32 process;
    __u32 fd;
};

enum descriptor_origin {
    ORIGIN_TRACED = 0,
    ORIGIN_BEFORE_ATTACH,
    ORIGIN_INHERITED,
    ORIGIN_FOUND,
    /* No living descriptor: */
    ORIGIN_CLOSED,  /* the entry is kept for the next descriptor of its number */
    ORIGIN_WRITTEN, /* that descriptor's birth writes into it */
    ORIGIN_SIGHTED, /* `pass` saw the number open: a birth that was missed, or that comes yet */
};

/* The part of `origin` that counts births: who has read it sees that another has it since. */
#define ORIGIN_MASK 0xff
#define BIRTH       (ORIGIN_MASK + 1)

/* A living descriptor. */
struct descriptor {
    __u64 stack;
    __u64 born_ns;
    __u64 used_ns;
    __u32 pass; /* the last reconciliation that saw it */
    __u16 call;
    __u16 mode;
    __u32 origin; /* enum descriptor_origin, and above it how often the entry was born again */
    __u16 asked;  /* something was sent, and no answer has come yet */
    __u16 cut;    /* the other side ended it before it had sent anything */
    __u64 peer;   /* the object that it is connected to, or 0 */
    __u64 connected_ns;
    __u64 received;
    __u64 sent;
    __u64 sent_then; /* of `sent`, what had been sent when a long wait on it last ended */
    __u32 tid;       /* the thread that made it; 0: not seen */
    __u32 pad;
};

/* A stack that made descriptors. Keyed by the stack's id; a process's own id (which has no high
 * bit) keys what has no stack. */
struct site {
    __u32 process;
    __u32 sent; /* its frames are with the agent */
    __u64 opened;
    __u64 closed;
    __u64 first_ns;
    __u64 last_ns;
    __u64 native; /* calls whose native part is with the agent, a bit each */
};

/* What a stack did, summed by object: an act. Each has its meaning of the sum's fields. */
enum act {
    ACT_NONE = 0,
    ACT_SPAWN,      /* made a process */
    ACT_THREAD,     /* started a thread */
    ACT_THREAD_END, /* that thread ended */
    ACT_EXEC,       /* its child executed `object` (a command) */
    ACT_CHILD,      /* its child ended: ns is wall time, bytes CPU ns, failed: status not 0 */
    ACT_OPEN,       /* opened the file `object`; repeats: with O_TRUNC */
    ACT_CONNECT,    /* connected to the peer `object`: ns until it stood */
    ACT_CONNECTION, /* a connection to `object` ended: ns is its life, bytes both ways; failed: of
                       these, ended by the other side before it had sent anything */
    ACT_READ,       /* of a regular file; starts: from its beginning; repeats: of these, unchanged
                       since this process last read it; repeat_bytes: what was read so */
    ACT_WRITE,      /* to a regular file; starts: from its beginning; repeats: appended */
    ACT_SYNC,       /* fsync, fdatasync */
    ACT_LIST,       /* read the directory `object` through; repeats: unchanged since it was listed
                       before */
    ACT_STAT,
    ACT_MAP,   /* bytes mapped; object: the file, or 0 */
    ACT_UNMAP, /* bytes of those that were unmapped again */
    ACT_WAIT,  /* a call that took long, or that waited out its time (repeats); starts: of these
                  without a limit of time, of receiving only what an answer was waited for in;
                  bytes: how many were for an answer: something had been sent on the connection
                  since the last of them */
    ACT_STALL, /* an event loop stood still: ns; object: the task that ran; where none is known, the
                  stack of the loop's selector */
    ACT_QUEUE, /* a connection waited to be accepted while this stack ran: ns; flags: how many
                  hold the listening socket */
    ACT_OFF_CPU,
    ACT_ON_CPU, /* samples */
    ACT_TOUCH,  /* page faults, sampled: bytes of the pages that the samples stand for */
    ACTS,
};

struct act_key {
    __u64 stack;
    __u64 object;
    __u32 process;
    __u16 act;
    __u16 call; /* the syscall's number; of ACT_MAP what was mapped (enum mapped) */
};

struct act_sum {
    __u64 count;
    __u64 failed;
    __u64 bytes;
    __u64 ns;
    __u64 max_ns;
    __u64 queued_ns; /* of `ns`, the thread waited for a CPU: waits, stalls, queues */
    __u64 starts;
    __u64 repeats;
    __u64 repeat_bytes;
    __u64 first_ns;
    __u64 last_ns;
    __u16 mode;    /* of the descriptor that it was about, as last seen */
    __u16 made_by; /* the syscall that made that descriptor */
    __u32 flags;   /* its file's flags (O_APPEND, O_NONBLOCK); FILE_BY_POSITION */
};

/* The last read or write said itself where it begins: pread, pwrite. No flag of a file. */
#define FILE_BY_POSITION (1U << 31)

enum mapped {
    MAPPED_ANONYMOUS = 0,
    MAPPED_FILE,
    MAPPED_STACK,    /* of a thread */
    MAPPED_HEAP,     /* by brk */
    MAPPED_RESERVED, /* without access: address space only */
};

/* Latency of a class of calls. */
struct wait_key {
    __u32 process;
    __u32 class;
};

#define WAIT_BUCKETS 40

struct wait_sum {
    __u64 count;
    __u64 ns;
    __u64 bytes;                 /* of reads and writes of any descriptor */
    __u64 buckets[WAIT_BUCKETS]; /* by the logarithm to base 2 of the nanoseconds */
};

/* A file or a directory as a process knows it. */
struct file_key {
    __u64 object;
    __u32 process;
    __u32 pad;
};

struct file_state {
    __s64 size;
    __s64 modified_s;
    __u32 modified_ns;
    __u32 unchanged; /* the reading that goes on is of what was read before */
    __u64 passes;
    __u64 unchanged_passes;
    __u32 apart; /* a directory that is told apart */
    __u32 pad;
};

/* A process that a traced one made, until it is reaped. */
struct child {
    __u32 process; /* who made it */
    __u32 parent;  /* its parent's tgid */
    __u64 stack;
    __u64 command;
    __u64 born_ns;
    __u64 ended_ns; /* 0: it lives */
    __u64 cpu_ns;
    __u32 status; /* as wait(2) has it */
    __u32 depth;  /* 0: a child; else a descendant */
};

/* A connect whose result is still to come, by its struct sock. */
struct connecting {
    __u64 stack;
    __u64 object;
    __u64 began_ns;
    __u32 process;
    __u32 pad;
};

struct mapping_key {
    __u32 process;
    __u32 pad;
    __u64 address;
};

struct mapping {
    __u64 stack;
    __u64 bytes;
    __u64 object;
    __u64 kind;
};

/* Where a thread was while somebody waited for it: the stack that most of the time went to, if one
 * took more than half of it. Each call and each sample votes with its nanoseconds. */
struct turn {
    __u64 since_ns; /* 0: it serves nobody */
    __u64 stack;
    __u64 ahead_ns;  /* by how much this stack leads */
    __u64 known_ns;  /* all votes */
    __u64 voted_ns;  /* when this stack got its newest vote */
    __u64 before;    /* the stack to which the turn before went, or 0 */
    __u64 queued_ns; /* what the thread had waited for a CPU, in all, when the turn began */
};

/* A thread, in its task storage. */
struct thread {
    __u64 began_ns;  /* of the call that is on its way; 0: none */
    __u64 queued_ns; /* what it had waited for a CPU when that began */
    __u64 off_ns;    /* off the CPU outside of a call since */
    __u64 off_stack;
    __u64 started_by; /* the stack that started it; 0: not seen */
    __u32 process;
    __u32 number;
    __u16 taken;      /* a close that took its descriptor out of the ledger already (trace) */
    __u16 mode;       /* what that was */
    __u32 restarted;  /* the call goes on by restart_syscall */
    __u32 loop_fd;    /* the selector of the event loop whose turn it is */
    __u32 generation; /* of the targets when it was last asked whom it belongs to */
    struct turn loop;
    struct turn server;
    __u64 loop_task; /* the task that ran when the loop's stack got its newest vote, or 0 */
};

enum object_kind { OBJECT_FILE = 1, OBJECT_PEER, OBJECT_COMMAND, OBJECT_TASK };

struct object_life {
    __u32 process;
    __u32 sent;
};

/* asyncio in one address space: where its running tasks and their names lie. */
struct asyncio {
    __u64 current_tasks; /* the dict; unless: */
    __u64 running_task;  /* 3.14+: offset of the task in the thread state */
    __u32 process;
    __u32 named; /* distinct names that were told */
    __u16 task_coro;
    __u16 task_name;
    __u16 coro_frame;
    __u16 frame_inside; /* the frame itself lies there (3.11+), and not a pointer to it */
    __u16 keys_size;
    __u16 keys_log; /* 3.11+: the size of the indices as a logarithm */
    __u16 keys_count;
    __u16 keys_indices;
};

/* trio in one address space: its type of tasks, the function that drives them, and where they and
 * their names lie. */
struct trio {
    __u64 task_type;
    __u64 driver; /* the code object of that function */
    __u32 process;
    __u32 named;
    __u16 task_coro;
    __u16 task_name;
    __u16 coro_frame;
    __u16 frame_inside;
    __u16 locals; /* in a frame */
    __u16 pad[3];
};

struct code_key {
    __u32 space;
    __u32 pad;
    __u64 address;
};

struct code_life {
    __u64 id;
    __u64 sent;
};

/* Direct-mapped cache over `codes`. `check` binds the id to its address and address space, so that
 * a torn read is a miss and not a wrong name. */
struct code_cached {
    __u64 id;
    __u64 check;
};

/* An implicit close whose close(2) has not come yet, by thread. */
struct warning {
    __u64 dropped_by;
    __u64 time_ns;
    /* Of the frame that was innermost: its address, its code object's id, its instruction, that of
     * the frame around it, and how many frames there were. */
    __u64 frame;
    __u64 code;
    __u64 instruction;
    __u64 outer_instruction;
    __u32 depth;
    __u32 python; /* Python code warned, and not the interpreter */
    __u32 process;
    __u32 pad;
    char type_name[TYPE_MAX];
};

struct unclosed_key {
    __u64 opened_by;
    __u64 dropped_by;
    __u32 process;
    __u32 python;
};

struct unclosed {
    __u64 count;
    __u64 lifetime_ns;
    __u64 first_ns;
    __u64 last_ns;
    char type_name[TYPE_MAX];
};

/* ---- counters, one a CPU ---- */

enum counter {
    OPENED_EMITTED,
    OPENED_DESCRIPTORS_FULL,
    OPENED_SITES_FULL,
    CLOSED_EMITTED,
    CLOSED_UNKNOWN,
    UNCLOSED_EMITTED,
    UNCLOSED_FULL,
    UNCLOSED_BUSY,
    CODE_EMITTED,
    CODE_RING_FULL,
    CODE_CODES_FULL,
    CODE_UNREADABLE,
    STACK_EMITTED,
    STACK_RING_FULL,
    STACK_SITES_FULL,
    DESCRIPTOR_EMITTED,
    DESCRIPTOR_RING_FULL,
    PROCESS_EMITTED,
    PROCESS_RING_FULL,
    PROCESS_TARGETS_FULL,
    WALK_COMPLETE,
    WALK_TRUNCATED,
    WALK_UNREADABLE,
    WALK_NO_THREAD_STATE,
    COMPAT_CALLS,
    THREADS_FULL,
    ACT_EMITTED,
    ACT_FULL,
    OBJECT_EMITTED,
    OBJECT_RING_FULL,
    OBJECT_FULL,
    CHILD_FULL,
    MAPPING_FULL,
    CONNECTING_FULL,
    FILE_FULL,
    WAIT_FULL,
    TASK_EMITTED,
    TASK_NAMED,
    TASK_UNREADABLE,
    TASK_NAMES_FULL,
    NATIVE_EMITTED,
    NATIVE_RING_FULL,
    COUNTERS,
};
