//! The kernel side of pitviper: the BPF objects and the skeletons generated from them.
//!
//! The programs are C with CO-RE, in this folder; `pitviper.h` holds every type that both sides
//! share, and the skeleton's `types` module is made from the object's own BTF.

/// The object as clang made it, for loaders other than libbpf.
pub static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pitviper.bpf.o"));

mod skeleton {
    #![allow(missing_docs, clippy::all, unreachable_pub)]
    include!(concat!(env!("OUT_DIR"), "/pitviper.skel.rs"));
}

pub use skeleton::*;

/// Two programs that do nothing, for the benchmark.
pub mod empty {
    #![allow(missing_docs, clippy::all, unreachable_pub)]
    include!(concat!(env!("OUT_DIR"), "/empty.skel.rs"));
}
