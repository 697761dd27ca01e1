/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The kernel's types, cut down to the fields that are used. `preserve_access_index` makes each
 * access a CO-RE relocation, so that offsets come from the running kernel's BTF.
 */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;

enum { false = 0, true = 1 };

enum bpf_map_type {
    BPF_MAP_TYPE_HASH = 1,
    BPF_MAP_TYPE_ARRAY = 2,
    BPF_MAP_TYPE_PERCPU_ARRAY = 6,
    BPF_MAP_TYPE_RINGBUF = 27,
    BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
enum { BPF_F_NO_PREALLOC = 1 };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { BPF_RB_AVAIL_DATA = 0 };

/* Only asked whether it exists; the value itself is taken from the running kernel. */
enum bpf_func_id___probe {
    BPF_FUNC_loop___probe = 181,
    BPF_FUNC_task_pt_regs___probe = 175,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
    unsigned long bp;
    unsigned long r10;
    unsigned long r9;
    unsigned long r8;
    unsigned long ax;
    unsigned long cx;
    unsigned long dx;
    unsigned long si;
    unsigned long di;
    unsigned long orig_ax;
    unsigned long ip;
    unsigned long sp;
};
struct thread_struct {
    unsigned long fsbase;
};
struct thread_info {
    __u32 status;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
    __u64 regs[31];
};
struct pt_regs {
    __u64 regs[31];
    __u64 sp;
    __u64 pc;
    __u64 orig_x0;
    __s32 syscallno;
};
struct thread_struct {
    struct {
        unsigned long tp_value;
    } uw;
};
struct thread_info {
    unsigned long flags;
};
#endif

typedef struct {
    int counter;
} atomic_t;

struct super_block {
    __u32 s_dev;
};
struct timespec64 {
    __s64 tv_sec;
    long tv_nsec;
};
struct inode {
    unsigned short i_mode;
    struct super_block *i_sb;
    unsigned long i_ino;
    __u32 i_generation;
    __s64 i_size;
    __s64 i_mtime_sec; /* from 6.11 */
    __u32 i_mtime_nsec;
};
/* 6.6 to 6.10 */
struct inode___one {
    struct timespec64 __i_mtime;
};
/* before 6.6 */
struct inode___two {
    struct timespec64 i_mtime;
};
struct qstr {
    __u32 len;
    const unsigned char *name;
};
struct dentry {
    struct dentry *d_parent;
    struct qstr d_name;
};
struct vfsmount {
    struct dentry *mnt_root;
};
struct mount {
    struct mount *mnt_parent;
    struct dentry *mnt_mountpoint;
    struct vfsmount mnt;
};
struct path {
    struct vfsmount *mnt;
    struct dentry *dentry;
};
struct file {
    struct inode *f_inode;
    void *private_data;
    unsigned int f_flags;
    struct path f_path;
    __s64 f_pos;
};
typedef struct {
    __s64 counter;
} atomic64_t;
typedef struct {
    atomic64_t refcnt;
} file_ref_t;
/* from 6.13: one less than the references */
struct file___referenced {
    file_ref_t f_ref;
};
/* before 6.13 */
struct file___counted {
    atomic64_t f_count;
};
struct sock_common {
    unsigned short skc_family;
    unsigned char skc_state;
};
struct sock {
    struct sock_common __sk_common;
    long sk_rcvtimeo;
    long sk_sndtimeo;
};
struct tcp_sock {
    __u64 tcp_mstamp;
};
struct socket {
    short type;
    struct sock *sk;
};
struct fdtable {
    unsigned int max_fds;
    struct file **fd;
};
struct files_struct {
    struct fdtable *fdt;
};
struct signal_struct {
    atomic_t live;
    unsigned long long sum_sched_runtime;
};
struct sched_entity {
    __u64 sum_exec_runtime;
};
struct sched_info {
    unsigned long long run_delay;
};
struct mm_struct {
    unsigned long arg_start;
    unsigned long arg_end;
};
struct task_struct {
    struct thread_info thread_info;
    unsigned int __state; /* `state` before 5.14 */
    int pid;
    int tgid;
    int exit_code;
    struct sched_entity se;
    struct sched_info sched_info; /* with CONFIG_SCHED_INFO */
    struct mm_struct *mm;
    struct task_struct *group_leader;
    struct files_struct *files;
    struct signal_struct *signal;
    struct thread_struct thread;
};
struct linux_binprm;
struct seq_file;
struct bpf_iter_meta {
    struct seq_file *seq;
    __u64 session_id;
    __u64 seq_num;
};
struct bpf_iter__task_file {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    __u32 fd;
    struct file *file;
};

#pragma clang attribute pop
