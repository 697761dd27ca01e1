//! From registers and the bytes of a stack to native frames.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use framehop::{FrameAddress, MayAllocateDuringUnwind, Module, Unwinder};

use super::frames::NativeFrame;
use super::image::Image;
use super::names;
use crate::event::{NativeRecord, ProcessId, Registers};
use crate::python::{Mapping, ProcessMemory, open_mapped, read_maps};

/// Frames that are looked at, plumbing included.
const FRAMES: usize = 128;

/// Characters of a function's and of a file's name that are kept; those of C++ have no end.
const NAME: usize = 512;

/// What files may take in memory together. Where that is too little, all are read anew.
const IMAGES: u64 = 256 << 20;

/// A process's mappings are read again after this long...
const FRESH: Duration = Duration::from_secs(5);
/// ... and after this where an address is in none of them.
const RETRY: Duration = Duration::from_millis(50);

type Bytes = Arc<[u8]>;

#[cfg(target_arch = "x86_64")]
type Machine = framehop::x86_64::UnwinderX86_64<Bytes, MayAllocateDuringUnwind>;
#[cfg(target_arch = "x86_64")]
type Cache = framehop::x86_64::CacheX86_64<MayAllocateDuringUnwind>;
#[cfg(target_arch = "x86_64")]
fn registers(from: &Registers) -> framehop::x86_64::UnwindRegsX86_64 {
    framehop::x86_64::UnwindRegsX86_64::new(from.pc, from.sp, from.fp)
}

#[cfg(target_arch = "aarch64")]
type Machine = framehop::aarch64::UnwinderAarch64<Bytes, MayAllocateDuringUnwind>;
#[cfg(target_arch = "aarch64")]
type Cache = framehop::aarch64::CacheAarch64<MayAllocateDuringUnwind>;
#[cfg(target_arch = "aarch64")]
fn registers(from: &Registers) -> framehop::aarch64::UnwindRegsAarch64 {
    // Return addresses may be signed, in the bits that no address of user space has.
    let mask = framehop::aarch64::PtrAuthMask::from_max_known_address((1 << 48) - 1);
    framehop::aarch64::UnwindRegsAarch64::new_with_ptr_auth_mask(mask, from.lr, from.sp, from.fp)
}

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
    unwinder: Machine,
    cache: Cache,
    /// By the start of the mapping; `None` where the file tells nothing.
    loaded: HashMap<u64, Option<Loaded>>,
}

/// Everything that is known of files and processes.
#[derive(Default)]
pub(super) struct Unwinding {
    images: HashMap<FileId, Option<Rc<Image>>>,
    cost: u64,
    spaces: HashMap<ProcessId, Space>,
}

/// A frame on its way.
struct Step {
    loaded: Loaded,
    /// In the file, as the stack has it.
    address: u64,
    /// In the call and not behind it.
    lookup: u64,
}

impl Space {
    fn read(pid: i32) -> Option<Self> {
        Some(Self {
            maps: code_of(pid)?,
            read: Instant::now(),
            unwinder: Machine::new(),
            cache: Cache::new(),
            loaded: HashMap::new(),
        })
    }

    fn mapping(&self, address: u64) -> Option<&Mapping> {
        let after = self.maps.partition_point(|mapping| mapping.start <= address);
        self.maps.get(after.checked_sub(1)?).filter(|mapping| address < mapping.end)
    }
}

/// Mappings of files that hold code.
fn code_of(pid: i32) -> Option<Vec<Mapping>> {
    let mut maps = read_maps(pid).ok()?;
    maps.retain(|mapping| mapping.executable && mapping.inode != 0);
    Some(maps)
}

impl Unwinding {
    /// The native frames above the innermost Python frame, innermost first; none where that frame
    /// could not be reached by the files' own tables: then they may be anything.
    pub(super) fn frames(&mut self, record: &NativeRecord, pid: i32) -> Option<Vec<NativeFrame>> {
        self.refresh(record.process, pid, FRESH)?;
        let mut frames = Vec::new();
        let mut regs = registers(&record.registers);
        let mut at = FrameAddress::from_instruction_pointer(record.registers.pc);
        for _ in 0..FRAMES {
            let step = self.step(record.process, pid, at)?;
            let symbol = step.loaded.image.symbol(step.lookup);
            let name = symbol.as_ref().map(|symbol| names::whole(&symbol.name));
            if step.loaded.image.is_interpreter {
                match name {
                    Some(name) if names::is_evaluation(name) => return Some(frames),
                    Some(name) if !names::is_plumbing(name) => {}
                    // A stripped interpreter's own functions have no names to tell them apart by.
                    _ => {
                        at = self.outwards(record, at, &mut regs)?;
                        continue;
                    }
                }
            }
            let address = match (&symbol, record.call) {
                (Some(symbol), None) => symbol.start,
                _ => step.address,
            };
            frames.push(NativeFrame {
                function: name.map(|name| bounded(name).into()),
                object: Arc::clone(&step.loaded.name),
                address,
            });
            at = self.outwards(record, at, &mut regs)?;
        }
        None
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

    /// Where an address lies.
    fn step(&mut self, process: ProcessId, pid: i32, at: FrameAddress) -> Option<Step> {
        let lookup = at.address_for_lookup();
        if self.spaces.get(&process)?.mapping(lookup).is_none() {
            self.refresh(process, pid, RETRY)?;
        }
        let mapping = self.spaces.get(&process)?.mapping(lookup)?.clone();
        let known = self.spaces.get(&process)?.loaded.get(&mapping.start).cloned();
        let loaded = match known {
            Some(known) => known,
            None => self.load(process, pid, &mapping),
        }?;
        let bias = loaded.bias;
        let inside = |address: u64| address.wrapping_sub(bias);
        Some(Step { loaded, address: inside(at.address()), lookup: inside(lookup) })
    }

    fn load(&mut self, process: ProcessId, pid: i32, mapping: &Mapping) -> Option<Loaded> {
        let image = self.image(pid, mapping);
        let loaded = image.and_then(|image| {
            let bias = image.bias(mapping.start, mapping.offset)?;
            let name = bounded(&mapping.path.to_string_lossy()).into();
            Some(Loaded { image, bias, name })
        });
        let space = self.spaces.get_mut(&process)?;
        if let Some(loaded) = &loaded
            && let Some(unwind) = loaded.image.unwind()
        {
            let range = mapping.start..mapping.end;
            let name = String::new();
            space.unwinder.add_module(Module::new(name, range, loaded.bias, unwind));
        }
        space.loaded.insert(mapping.start, loaded.clone());
        loaded
    }

    fn image(&mut self, pid: i32, mapping: &Mapping) -> Option<Rc<Image>> {
        let id = (mapping.device, mapping.inode);
        if let Some(known) = self.images.get(&id) {
            return known.clone();
        }
        if self.cost > IMAGES {
            self.images.clear();
            self.cost = 0;
            self.spaces.retain(|_, space| {
                space.read = Instant::now();
                space.loaded.clear();
                space.unwinder = Machine::new();
                true
            });
        }
        let file = open_mapped(pid, mapping, &ProcessMemory::new(pid)).ok();
        let image = file.and_then(|file| Image::read(&file.file)).map(Rc::new);
        self.cost += image.as_ref().map_or(4096, |image| image.cost);
        self.images.insert(id, image.clone());
        image
    }

    /// The caller of a frame, by its file's table and by nothing else.
    fn outwards(
        &mut self,
        record: &NativeRecord,
        at: FrameAddress,
        regs: &mut <Machine as Unwinder>::UnwindRegs,
    ) -> Option<FrameAddress> {
        let space = self.spaces.get_mut(&record.process)?;
        let start = space.mapping(at.address_for_lookup())?.start;
        // Without a table framehop takes the frame pointer, which libraries do not have.
        space.loaded.get(&start)?.as_ref()?.image.unwind()?;
        let mut read = |address: u64| {
            let offset = address.checked_sub(record.registers.sp).ok_or(())?;
            let offset = usize::try_from(offset).map_err(|_| ())?;
            let word = record.stack.get(offset..offset.checked_add(8).ok_or(())?).ok_or(())?;
            Ok(u64::from_le_bytes(word.try_into().map_err(|_| ())?))
        };
        let next = space.unwinder.unwind_frame(at, regs, &mut space.cache, &mut read).ok()??;
        FrameAddress::from_return_address(next)
    }
}

fn bounded(name: &str) -> String {
    match name.char_indices().nth(NAME) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}
