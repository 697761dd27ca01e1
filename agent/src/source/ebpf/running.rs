//! How full the kernel side's tables are, and what its programs have run.

use std::collections::BTreeMap;

use libbpf_rs::skel::Skel;
use libbpf_rs::{AsRawLibbpf, MapCore, MapMut, libbpf_sys};
use pitviper_probes::types;

use super::decode::Plain;
use super::entries::entries;
use super::{Ebpf, EbpfError};
use crate::source::ProgramRun;

/// Entries of a table, and how many fit.
type Fill = (&'static str, (u64, u64));

fn count<K: Plain, V: Plain>(name: &'static str, map: &MapMut<'_>) -> Result<Fill, EbpfError> {
    let found = entries::<K, V>(map, name)?.len() as u64;
    Ok((name, (found, map.max_entries().into())))
}

impl Ebpf {
    /// Entries of each table, and how many fit; of the descriptors the living ones. Reads all of
    /// them: some milliseconds when they are full.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn fill(&self) -> Result<BTreeMap<&'static str, (u64, u64)>, EbpfError> {
        let maps = &self.skeleton.maps;
        let entries =
            entries::<types::descriptor_key, types::descriptor>(&maps.descriptors, "descriptors")?;
        let all = entries.len() as u64;
        let living = self.living()?.len() as u64;
        // What dead entries take, living ones cannot have.
        let room = u64::from(maps.descriptors.max_entries()).saturating_sub(all - living.min(all));
        let children = self.children()?.len() as u64;
        Ok(BTreeMap::from([
            ("descriptors", (living, room)),
            count::<u64, types::site>("sites", &maps.sites)?,
            count::<types::code_key, types::code_life>("codes", &maps.codes)?,
            count::<types::act_key, types::act_sum>("acts", &maps.acts)?,
            count::<u64, types::object_life>("objects", &maps.objects)?,
            count::<u64, types::object_life>("task_names", &maps.task_names)?,
            count::<types::file_key, types::file_state>("files", &maps.files)?,
            ("children", (children, maps.children.max_entries().into())),
            count::<types::mapping_key, types::mapping>("mappings", &maps.mappings)?,
            count::<u64, types::connecting>("connecting", &maps.connecting)?,
            count::<types::unclosed_key, types::unclosed>("unclosed_pairs", &maps.unclosed_pairs)?,
            count::<u32, types::warning>("warnings", &maps.warnings)?,
            count::<types::wait_key, types::wait_sum>("waits", &maps.waits)?,
        ]))
    }

    /// What each program has run since it was loaded; nothing of programs that the kernel has not
    /// measured (`kernel.bpf_stats_enabled`).
    pub fn programs(&self) -> BTreeMap<String, ProgramRun> {
        let mut runs = BTreeMap::new();
        for program in self.skeleton.object().progs() {
            let mut info = libbpf_sys::bpf_prog_info::default();
            let mut length = size_of::<libbpf_sys::bpf_prog_info>() as u32;
            // SAFETY: the program lives as long as the skeleton; `info` has room for `length`
            // bytes and asks for none of the arrays. A program that was not loaded has no
            // descriptor, which the kernel refuses.
            let result = unsafe {
                let descriptor = libbpf_sys::bpf_program__fd(program.as_libbpf_object().as_ptr());
                libbpf_sys::bpf_prog_get_info_by_fd(descriptor, &raw mut info, &raw mut length)
            };
            if result == 0 && info.run_cnt > 0 {
                let seconds = info.run_time_ns as f64 / 1e9;
                let name = program.name().to_string_lossy().into_owned();
                runs.insert(name, ProgramRun { count: info.run_cnt, seconds });
            }
        }
        runs
    }
}
