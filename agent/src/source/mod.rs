//! Where events come from. One tracer, one folder; nothing past this station knows which.

pub mod ebpf;

mod snapshot;

pub use snapshot::{
    DescriptorOrigin, Flow, LiveDescriptor, SiteCounters, Snapshot, StackOutcomes, UnclosedCounters,
};
