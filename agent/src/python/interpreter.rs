//! Which interpreter a process runs, and where the things lie that a tracer needs.
//!
//! Everything comes from `/proc`, the ELF file and the process's memory; the process is neither
//! stopped nor asked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::AnalyseError;
use super::identify;
use super::layout::Layout;
use super::memory::{ProcessMemory, ReadError, ReadMemory};
use super::target::{
    Identity, Image, MappedFile, Mapping, identify, machine, open_executable, open_mapped,
    read_maps,
};
use super::thread_slot::{self, ThreadSlot};
use super::version::Version;
use super::walk::{ThreadState, thread_states_of, walk};
use super::warnings;

/// The target keeps running while it is read, so a list may be torn: how often to try again, and
/// how long to wait before that.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(5);

/// Most files that are searched for the interpreter.
pub(super) const MAX_CANDIDATES: usize = 64;

pub(super) const SYMBOLS: [&str; 7] = [
    "_PyRuntime",
    "Py_Version",
    "PyCode_Type",
    "PyErr_ResourceWarning",
    "PyExc_ResourceWarning",
    "Py_GetVersion",
    "PyGILState_GetThisThreadState",
];

/// A CPython interpreter in a running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// Its version.
    pub version: Version,
    /// The program that the process runs, as the process's mount namespace names it.
    pub executable: String,
    /// The ELF file that holds `_PyRuntime`: the program or a libpython, named likewise.
    pub image: PathBuf,
    /// Where the fields of its structs lie.
    pub layout: Layout,
    /// Address of `_PyRuntime`.
    pub runtime: u64,
    /// Address of `PyCode_Type`, the `ob_type` of every code object.
    pub code_type: Option<u64>,
    /// Where a thread keeps the pointer to its `PyThreadState`, which stays while the thread has
    /// released the interpreter lock.
    pub thread_slot: ThreadSlot,
    /// The slot's key, where the runtime itself tells which it is.
    pub thread_key: Option<u32>,
    /// `PyErr_ResourceWarning`, called when something that should have been closed is collected.
    pub resource_warning: Option<ProbePoint>,
    /// `warnings.warn`, called by finalisers in Python for the same reason, among others.
    pub python_warning: Option<ProbePoint>,
    /// Address of the type `ResourceWarning`, which tells that reason from others.
    pub resource_warning_type: Option<u64>,
    /// `tp_dealloc` of code objects: after it, their address may be taken by another.
    pub code_dealloc: Option<ProbePoint>,
}

impl Interpreter {
    /// Its version, and what sets its build apart: `3.13.5 free-threaded`.
    pub fn name(&self) -> String {
        let free_threaded = if self.layout.is_free_threaded() { " free-threaded" } else { "" };
        format!("{}{free_threaded}", self.version)
    }

    /// What to tell of a version that is newer than this program.
    pub fn caution(&self) -> Option<String> {
        (!self.version.is_tested()).then(|| {
            format!(
                "CPython {} is newer than all that were tested (3.8 to 3.15): its stacks are read \
                 as it describes itself; a newer pitviper may know it",
                self.version
            )
        })
    }

    /// Whether it is still the one that was analysed. A program that embeds Python may take it down
    /// and bring it up again, with another key if it took keys itself in between.
    ///
    /// # Errors
    ///
    /// Those of reading memory.
    pub fn stands(&self, memory: &impl ReadMemory) -> Result<bool, ReadError> {
        let Some(key) = self.thread_key else { return Ok(true) };
        Ok(thread_slot::stated_key(memory, &self.layout, self.runtime)? == Some(key))
    }
}

/// A place in a file at which a uprobe can be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbePoint {
    /// The file, by a path that this process can open.
    pub path: PathBuf,
    /// Offset in the file, in bytes.
    pub file_offset: u64,
}

/// Analyses process `pid`. Takes milliseconds; the process keeps running.
///
/// # Errors
///
/// [`AnalyseError`]; [`AnalyseError::is_temporary`] tells whether to try again.
pub fn analyse(pid: i32) -> Result<Interpreter, AnalyseError> {
    let identity = identify(pid)?;
    for _ in 1..ATTEMPTS {
        match attempt(pid, &identity) {
            Err(AnalyseError::Corrupt { .. }) => std::thread::sleep(PAUSE),
            result => return confirm(pid, &identity, result),
        }
    }
    confirm(pid, &identity, attempt(pid, &identity))
}

/// Whatever was found out is void if the process has become another meanwhile.
fn confirm(
    pid: i32,
    before: &Identity,
    result: Result<Interpreter, AnalyseError>,
) -> Result<Interpreter, AnalyseError> {
    match identify(pid) {
        Ok(after) if after == *before => result,
        Ok(_) | Err(AnalyseError::NoSuchProcess { .. } | AnalyseError::Zombie { .. }) => {
            Err(AnalyseError::Gone { pid })
        }
        Err(error) => Err(error),
    }
}

fn attempt(pid: i32, identity: &Identity) -> Result<Interpreter, AnalyseError> {
    let memory = ProcessMemory::new(pid);
    let located = Located::find(pid, identity, &memory)?;
    let version = identify::version(&memory, &located.image, located.bias)
        .map_err(|error| AnalyseError::from_read(pid, error))?;
    let Some(runtime) = located.address("_PyRuntime") else {
        // 3.6 and older have none.
        let version = version.map_or("before 3.7".into(), |v| format!("{}.{}", v.major, v.minor));
        return Err(AnalyseError::UnsupportedVersion { version });
    };
    let version = version.ok_or(AnalyseError::NotReady { pid })?;
    let code_type = located.address("PyCode_Type");
    let reader = located.address("PyGILState_GetThisThreadState");
    let Examined { layout, thread_slot, thread_key } =
        examine(pid, &memory, version, runtime, code_type, reader)?;
    Ok(Interpreter {
        version,
        executable: identity.executable.to_string_lossy().into_owned(),
        image: located.mapping.path.clone(),
        layout,
        runtime,
        code_type,
        thread_slot,
        thread_key,
        resource_warning: located
            .address("PyErr_ResourceWarning")
            .and_then(|address| located.probe_point(address)),
        python_warning: warnings::warn(&memory, located.image.initialised(), located.bias)
            .and_then(|address| located.probe_point(address)),
        resource_warning_type: located
            .address("PyExc_ResourceWarning")
            .and_then(|address| memory.read_u64(address).ok())
            .filter(|address| *address != 0),
        code_dealloc: code_type
            .and_then(|address| {
                memory.read_u64(address.wrapping_add(layout.type_dealloc.into())).ok()
            })
            .and_then(|address| located.probe_point(address)),
    })
}

/// What a process's memory tells of its interpreter.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) layout: Layout,
    pub(super) thread_slot: ThreadSlot,
    pub(super) thread_key: Option<u32>,
}

/// Examines the interpreter whose `_PyRuntime` lies at `runtime`; `code_type` and `reader` are the
/// addresses of `PyCode_Type` and `PyGILState_GetThisThreadState`, where they are known.
pub(super) fn examine(
    pid: i32,
    memory: &impl ReadMemory,
    version: Version,
    runtime: u64,
    code_type: Option<u64>,
    reader: Option<u64>,
) -> Result<Examined, AnalyseError> {
    let layout = Layout::read(version, memory, runtime)
        .map_err(|error| AnalyseError::from_layout(pid, error))?;
    let read = |error| AnalyseError::from_read(pid, error);
    let states = thread_states_of(memory, &layout, runtime).map_err(read)?;
    if states.is_empty() {
        return Err(AnalyseError::NotReady { pid });
    }
    let running = check_layout(pid, memory, &layout, code_type, &states)?;
    let slots = thread_slot::find(memory, &layout, runtime, &states);
    let thread_slot = match slots.map_err(read)?[..] {
        [] => None,
        [slot] => Some(slot),
        ref several => reader.and_then(|function| thread_slot::named_in(memory, function, several)),
    };
    let thread_slot = thread_slot.ok_or(if running {
        let what = "CPython on a C library that keeps thread-specific data in an unknown place";
        AnalyseError::UnsupportedBuild { pid, what }
    } else {
        AnalyseError::NotReady { pid }
    })?;
    let thread_key = thread_slot::key_of(memory, &layout, runtime, thread_slot).map_err(read)?;
    Ok(Examined { layout, thread_slot, thread_key })
}

/// Whether any thread runs Python now; all that do must run code objects, or the layout is not
/// that of this build.
fn check_layout(
    pid: i32,
    memory: &impl ReadMemory,
    layout: &Layout,
    code_type: Option<u64>,
    states: &[ThreadState],
) -> Result<bool, AnalyseError> {
    let mut running = false;
    for state in states.iter().take(16) {
        // A running thread's frames change under the walk, so a single failure proves nothing.
        for frame in walk(memory, layout, state.address, 4).unwrap_or_default() {
            running = true;
            let found = memory.read_u64(frame.code.wrapping_add(layout.object_type.into()));
            if code_type.is_none() || found.ok() == code_type {
                return Ok(true);
            }
        }
    }
    if running {
        return Err(AnalyseError::Corrupt { pid, what: "its frames have no code objects" });
    }
    Ok(false)
}

/// The ELF file that holds the interpreter, and where it is mapped.
struct Located {
    image: Image,
    bias: u64,
    mapping: Mapping,
    path: PathBuf,
    maps: Vec<Mapping>,
}

impl Located {
    fn find(pid: i32, identity: &Identity, memory: &impl ReadMemory) -> Result<Self, AnalyseError> {
        let io = |error| AnalyseError::from_io(pid, &error);
        let executable = open_executable(pid).map_err(io)?;
        machine(&executable.file).map_err(|what| AnalyseError::UnsupportedBuild { pid, what })?;
        let maps = read_maps(pid).map_err(io)?;

        let candidates = candidates(&maps, &identity.executable);
        // An exec has only begun: nothing of the program is mapped yet.
        let mut starting = !candidates.iter().any(|map| map.path == identity.executable);
        let mut unreadable = false;
        for mapping in candidates {
            let opened = if mapping.path == identity.executable {
                open_executable(pid)
            } else {
                open_mapped(pid, mapping, memory)
            };
            let Ok(MappedFile { file, path }) = opened else {
                unreadable = true;
                continue;
            };
            let Ok(image) = Image::parse(&file, &SYMBOLS) else { continue };
            starting |= image.imports_python;
            if image.symbol("_PyRuntime").or(image.symbol("Py_GetVersion")).is_some()
                && let Some(bias) = image.bias(mapping)
            {
                return Ok(Self { image, bias, mapping: mapping.clone(), path, maps });
            }
        }
        Err(if unreadable {
            AnalyseError::Corrupt {
                pid,
                what: "the file of its libpython cannot be opened (CAP_CHECKPOINT_RESTORE opens a replaced one)",
            }
        } else if starting {
            // Or the dynamic loader has not come to libpython yet.
            AnalyseError::NotReady { pid }
        } else {
            let executable = identity.executable.to_string_lossy().into_owned();
            AnalyseError::NotPython { pid, executable }
        })
    }

    fn address(&self, symbol: &str) -> Option<u64> {
        self.image.symbol(symbol).map(|address| address.wrapping_add(self.bias))
    }

    fn probe_point(&self, address: u64) -> Option<ProbePoint> {
        let mapping = self.maps.iter().find(|map| (map.start..map.end).contains(&address))?;
        mapping.same_file(&self.mapping).then(|| ProbePoint {
            path: self.path.clone(),
            file_offset: address - mapping.start + mapping.offset,
        })
    }
}

/// A mapping of each file that may hold the interpreter: the program, then each libpython, then what
/// else is named like Python. One that can be run where there is one, since a file may also be mapped
/// to be read. Extension modules are named like Python, too (`lib.cpython-312-x86_64-linux-gnu.so`),
/// and some programs load hundreds, below libpython: in the order of addresses they would crowd it
/// out.
pub(super) fn candidates<'a>(maps: &'a [Mapping], executable: &Path) -> Vec<&'a Mapping> {
    let is_program = |map: &&Mapping| map.path == executable;
    let is_named = |map: &&Mapping, test: fn(&str) -> bool| {
        map.path.file_name().is_some_and(|name| test(&name.to_string_lossy()))
    };
    let library = maps.iter().filter(|map| is_named(map, |name| name.starts_with("libpython")));
    let other = maps.iter().filter(|map| is_named(map, |name| name.contains("python")));
    let named = library.chain(other);
    let mut chosen: Vec<&Mapping> = Vec::new();
    for mapping in maps.iter().filter(is_program).chain(named).filter(|map| map.inode != 0) {
        match chosen.iter_mut().find(|known| known.same_file(mapping)) {
            Some(known) if mapping.executable && !known.executable => *known = mapping,
            Some(_) => {}
            None => chosen.push(mapping),
        }
    }
    chosen.truncate(MAX_CANDIDATES);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(number: u64, path: &str) -> Mapping {
        let start = number << 20;
        Mapping {
            start,
            end: start + (1 << 20),
            executable: true,
            offset: 0,
            device: 1,
            inode: number + 1,
            path: path.into(),
        }
    }

    #[test]
    fn extension_modules_do_not_crowd_libpython_out() {
        let mut maps: Vec<_> = (0..200)
            .map(|number| mapping(number, &format!("/lib/m{number}.cpython-312-x86_64.so")))
            .collect();
        maps.push(mapping(200, "/lib/libpython3.12.so.1.0"));
        maps.push(mapping(201, "/bin/python3.12"));
        let executable = PathBuf::from("/bin/python3.12");
        let named: Vec<_> = candidates(&maps, &executable).iter().map(|map| &map.path).collect();
        assert_eq!(named.len(), MAX_CANDIDATES);
        assert_eq!(named[0], &executable);
        assert_eq!(named[1], &PathBuf::from("/lib/libpython3.12.so.1.0"));
    }
}
