//! The eBPF source: the only place that touches the loader.
