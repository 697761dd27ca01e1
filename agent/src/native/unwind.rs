//! From registers and the bytes of a stack to native frames.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gimli::UnwindContext;

use super::frames::NativeFrame;
use super::image::Image;
use super::names;
use super::tables::Registers;
use crate::event::{NativeRecord, ProcessId};
use crate::python::{Mapping, ProcessMemory, open_mapped, read_maps};

/// Frames that are looked at, plumbing included.
pub(super) const FRAMES: usize = 128;

/// Characters of a function's and of a file's name that are kept; those of C++ have no end.
pub(super) const NAME: usize = 512;

/// What files may take in memory together. Where that is too little, all are read anew.
const IMAGES: u64 = 256 << 20;
/// ... and how many there may be: each has a descriptor.
const FILES: usize = 256;

/// A process's mappings are read again after this long...
const FRESH: Duration = Duration::from_secs(5);
/// ... and after this where an address is in none of them.
const RETRY: Duration = Duration::from_millis(50);

/// Names a file: device and inode.
type FileId = (u64, u64);

/// A file where it is mapped.
#[derive(Clone)]
struct Loaded {
    image: Rc<Image>,
    bias: u64,
    name: Arc<str>,
}

/// One process.
struct Space {
    maps: Vec<Mapping>,
    read: Instant,
    /// By the start of the mapping; `None` where the file tells nothing.
    loaded: HashMap<u64, Option<Loaded>>,
}

/// Everything that is known of files and processes.
#[derive(Default)]
pub(super) struct Unwinding {
    images: HashMap<FileId, Option<Rc<Image>>>,
    cost: u64,
    spaces: HashMap<ProcessId, Space>,
    context: UnwindContext<usize>,
}

impl Space {
    fn read(pid: i32) -> Option<Self> {
        Some(Self { maps: code_of(pid)?, read: Instant::now(), loaded: HashMap::new() })
    }

    fn mapping(&self, address: u64) -> Option<&Mapping> {
        let after = self.maps.partition_point(|mapping| mapping.start <= address);
        self.maps.get(after.checked_sub(1)?).filter(|mapping| address < mapping.end)
    }
}

/// Mappings that hold code.
fn code_of(pid: i32) -> Option<Vec<Mapping>> {
    let mut maps = read_maps(pid).ok()?;
    maps.retain(|mapping| mapping.executable);
    Some(maps)
}

/// Whether code was made there at run time: it is of no file, and not the kernel's `[vdso]`.
fn is_made(mapping: &Mapping) -> bool {
    mapping.inode == 0 && mapping.path.as_os_str().is_empty()
}

impl Unwinding {
    /// The native frames above the innermost Python frame, innermost first; none where that frame
    /// could not be reached by the files' own tables: then they may be anything. Code made at run
    /// time has no tables, and ends them: the interpreter's own compiler makes such from bytecode.
    pub(super) fn frames(&mut self, record: &NativeRecord, pid: i32) -> Option<Vec<NativeFrame>> {
        self.refresh(record.process, pid, FRESH)?;
        let mut frames = Vec::new();
        let mut registers = Registers::new(&record.registers);
        for _ in 0..FRAMES {
            let Some(loaded) = self.find(record.process, pid, registers.running()) else {
                let mapping = self.spaces.get(&record.process)?.mapping(registers.running())?;
                return is_made(mapping).then_some(frames);
            };
            let running = registers.running().wrapping_sub(loaded.bias);
            let symbol = loaded.image.symbol(running);
            let name = symbol.as_ref().map(|symbol| names::whole(&symbol.name));
            // A stripped interpreter's own functions have no names to tell them apart by.
            let hidden = loaded.image.is_interpreter && name.is_none_or(names::is_plumbing);
            if loaded.image.is_interpreter && name.is_some_and(names::is_evaluation) {
                return Some(frames);
            }
            let tables = loaded.image.tables.as_ref()?;
            if !hidden {
                let start = || match &symbol {
                    Some(symbol) => Some(symbol.start),
                    None => tables.function(running),
                };
                // Samples that met the same function are to look the same.
                let address = record.call.is_none().then(start).flatten();
                frames.push(NativeFrame {
                    function: name.map(|name| bounded(name).into()),
                    object: Arc::clone(&loaded.name),
                    address: address.unwrap_or(registers.pc().wrapping_sub(loaded.bias)),
                });
            }
            let memory = |address| word(record, address);
            tables.outwards(&mut registers, loaded.bias, &mut self.context, &memory)?;
        }
        None
    }

    /// Of a process nothing but these files.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn of(process: ProcessId, files: Vec<(Mapping, Option<Image>)>) -> Self {
        let maps = files.iter().map(|(mapping, _)| mapping.clone()).collect();
        let space = Space { maps, read: Instant::now(), loaded: HashMap::new() };
        let file = |(mapping, image): (Mapping, Option<Image>)| {
            ((mapping.device, mapping.inode), image.map(Rc::new))
        };
        Self {
            images: files.into_iter().map(file).collect(),
            spaces: HashMap::from([(process, space)]),
            ..Self::default()
        }
    }

    /// Drops what is known of a process.
    pub(super) fn forget(&mut self, process: ProcessId) {
        self.spaces.remove(&process);
    }

    /// Reads a process's mappings if that was longer ago than `age`.
    fn refresh(&mut self, process: ProcessId, pid: i32, age: Duration) -> Option<()> {
        if let Some(space) = self.spaces.get_mut(&process) {
            if space.read.elapsed() < age {
                return Some(());
            }
            // What an ended process had mapped is still good.
            space.read = Instant::now();
            if code_of(pid).is_none_or(|maps| maps == space.maps) {
                return Some(());
            }
        }
        self.spaces.insert(process, Space::read(pid)?);
        Some(())
    }

    /// The file that an address lies in.
    fn find(&mut self, process: ProcessId, pid: i32, address: u64) -> Option<Loaded> {
        if self.spaces.get(&process)?.mapping(address).is_none() {
            self.refresh(process, pid, RETRY)?;
        }
        let space = self.spaces.get(&process)?;
        let mapping = space.mapping(address)?;
        if let Some(known) = space.loaded.get(&mapping.start) {
            return known.clone();
        }
        if is_made(mapping) {
            return None;
        }
        let mapping = mapping.clone();
        self.load(process, pid, &mapping)
    }

    fn load(&mut self, process: ProcessId, pid: i32, mapping: &Mapping) -> Option<Loaded> {
        let image = self.image(pid, mapping);
        let loaded = image.and_then(|image| {
            let bias = image.bias(mapping.start, mapping.offset)?;
            let name = bounded(&mapping.path.to_string_lossy()).into();
            Some(Loaded { image, bias, name })
        });
        let space = self.spaces.get_mut(&process)?;
        space.loaded.insert(mapping.start, loaded.clone());
        loaded
    }

    fn image(&mut self, pid: i32, mapping: &Mapping) -> Option<Rc<Image>> {
        let id = (mapping.device, mapping.inode);
        if let Some(known) = self.images.get(&id) {
            return known.clone();
        }
        if self.cost > IMAGES || self.images.len() >= FILES {
            self.images.clear();
            self.cost = 0;
            self.spaces.values_mut().for_each(|space| space.loaded.clear());
        }
        let file = open_mapped(pid, mapping, &ProcessMemory::new(pid)).ok();
        let image = file.and_then(|file| Image::read(&file.file)).map(Rc::new);
        self.cost += image.as_ref().map_or(4096, |image| image.cost);
        self.images.insert(id, image.clone());
        image
    }
}

/// A word of the stack that was copied.
fn word(record: &NativeRecord, address: u64) -> Option<u64> {
    let offset = usize::try_from(address.checked_sub(record.low)?).ok()?;
    let word = record.stack.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_ne_bytes(word.try_into().ok()?))
}

fn bounded(name: &str) -> String {
    match name.char_indices().nth(NAME) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}
