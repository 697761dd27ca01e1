//! All entries of a hash map, many at a system call.
//!
//! libbpf-rs has an iterator for this, which takes a batch with room left in it for the last one.
//! The kernel ends a batch wherever the next bucket does not fit whole, so that the iterator loses
//! the rest, now and then and in silence; errors end it the same way.

use std::os::fd::AsRawFd;

use libbpf_rs::{MapCore, libbpf_sys};

use super::EbpfError;
use super::decode::{self, Plain};

/// Entries that one system call brings; more than any bucket of the kernel's hash holds.
const BATCH: usize = 4096;

/// Where the map is read: the number of a bucket.
type Position = u32;

pub(super) fn entries<K: Plain, V: Plain>(
    map: &impl MapCore,
    name: &'static str,
) -> Result<Vec<(K, V)>, EbpfError> {
    batched(map, BATCH).map_err(|cause| EbpfError::Map { action: "read", map: name, cause })
}

fn batched<K: Plain, V: Plain>(
    map: &impl MapCore,
    batch: usize,
) -> Result<Vec<(K, V)>, libbpf_rs::Error> {
    let (key_size, value_size) = (map.key_size() as usize, map.value_size() as usize);
    let mut keys = vec![0_u8; batch * key_size];
    let mut values = vec![0_u8; batch * value_size];
    let options = libbpf_sys::bpf_map_batch_opts {
        sz: size_of::<libbpf_sys::bpf_map_batch_opts>() as _,
        ..Default::default()
    };
    let mut all = Vec::new();
    let mut after: Option<Position> = None;
    loop {
        let mut next: Position = 0;
        let mut count = batch as u32;
        let from = after.as_mut().map_or(std::ptr::null_mut(), |position| &raw mut *position);
        // SAFETY: `keys` and `values` have room for `count` entries of the map's own sizes; the
        // positions are those of a hash map, four bytes; all of them outlive the call.
        let result = unsafe {
            libbpf_sys::bpf_map_lookup_batch(
                map.as_fd().as_raw_fd(),
                from.cast(),
                (&raw mut next).cast(),
                keys.as_mut_ptr().cast(),
                values.as_mut_ptr().cast(),
                &raw mut count,
                &raw const options,
            )
        };
        let last = match -result {
            libc::ENOENT => true,
            libc::EINTR => continue,
            error if error > 0 => return Err(std::io::Error::from_raw_os_error(error).into()),
            _ => false,
        };
        let found = keys.chunks_exact(key_size).zip(values.chunks_exact(value_size));
        all.extend(
            found.take(count as usize).map(|(key, value)| (decode::read(key), decode::read(value))),
        );
        if last {
            return Ok(all);
        }
        after = Some(next);
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::io::Write;

    use libbpf_rs::{MapFlags, MapHandle, MapType};

    use super::*;

    const ENTRIES: u32 = 3000;

    fn value_of(key: u32) -> u64 {
        u64::from(key) << 32
    }

    /// A map of the kernel's with so many entries; nothing where only root may make one.
    fn map(entries: u32) -> Result<Option<MapHandle>, Box<dyn Error>> {
        if !rustix::process::geteuid().is_root() {
            assert!(std::env::var("CI").is_err(), "this needs root, and CI must not skip it");
            // Past the runner's capture: a skipped test is told.
            writeln!(std::io::stderr(), "SKIPPED source::ebpf::entries: it needs root")?;
            return Ok(None);
        }
        let options = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _,
            ..Default::default()
        };
        let map = MapHandle::create(MapType::Hash, Some("entries"), 4, 8, ENTRIES, &options)?;
        for key in 0..entries {
            map.update(&key.to_ne_bytes(), &value_of(key).to_ne_bytes(), MapFlags::ANY)?;
        }
        Ok(Some(map))
    }

    /// Batches so small that most end before they are full.
    #[test]
    fn every_entry_is_read_whatever_the_batch() -> Result<(), Box<dyn Error>> {
        let Some(map) = map(ENTRIES)? else { return Ok(()) };
        for batch in [24, 100, 1000, 5000] {
            let mut all = batched::<u32, u64>(&map, batch)?;
            all.sort_unstable();
            let wanted = (0..ENTRIES).map(|key| (key, value_of(key)));
            assert!(all.iter().copied().eq(wanted), "{} entries by {batch}", all.len());
        }
        Ok(())
    }

    #[test]
    fn nothing_is_read_of_an_empty_map() -> Result<(), Box<dyn Error>> {
        let Some(map) = map(0)? else { return Ok(()) };
        assert!(batched::<u32, u64>(&map, 8)?.is_empty());
        Ok(())
    }

    #[test]
    fn a_bucket_that_fits_no_batch_is_an_error() -> Result<(), Box<dyn Error>> {
        let Some(map) = map(ENTRIES)? else { return Ok(()) };
        assert!(batched::<u32, u64>(&map, 1).is_err());
        Ok(())
    }
}
