//! What the fuzz target of native frames runs.

#[cfg(test)]
pub(super) mod elf;
#[cfg(test)]
mod seeds;

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::fs::MemfdFlags;

use super::frames::NativeFrame;
use super::image::Image;
use super::unwind::{FRAMES, NAME, Unwinding};
use crate::event::{NativeRecord, ProcessId, Registers};
use crate::python::Mapping;
#[cfg(test)]
pub(crate) use seeds::make_seeds;

/// Files that the process maps.
const PATHS: [&str; 2] = ["/usr/lib/a.so", "/usr/lib/b.so"];

/// Bytes of what an input begins with: three registers, the length of the stack, and of each file
/// where it is mapped, from where on, how much, how much longer it is than its content, and the
/// content's length, but for the last, which is the rest.
const HEAD: usize = 8 * 3 + 2 + PATHS.len() * FILE;
const FILE: usize = 8 + 8 + 4 + 4 + 2;

/// A file may claim to be longer than what it holds, up to this.
const MAX_FILE: u64 = 1 << 30;

/// Tables for unwinding, symbols with their index, and headers.
const MAX_COST: u64 = (2 * 48 + 2 * 64 + 1) << 20;

/// As in the records of the kernel side.
const RED_ZONE: u64 = 128;
const MAX_STACK: usize = 16 << 10;

struct Mapped<'a> {
    mapping: Mapping,
    content: &'a [u8],
    longer: u64,
}

/// Two files, and a thread's registers and stack: what comes out is bounded, lies in what is mapped,
/// and has names out of the files.
pub(crate) fn native(input: &[u8]) {
    let Some((record, files)) = parse(input) else { return };
    let _ = unwind(&record, files);
}

fn unwind(record: &NativeRecord, mut files: Vec<Mapped<'_>>) -> Vec<NativeFrame> {
    // As in /proc/PID/maps: in order, and no two at one place.
    files.sort_by_key(|file| file.mapping.start);
    if files.len() == 2 && files[0].mapping.end > files[1].mapping.start {
        files.pop();
    }
    let read = |mapped: &Mapped<'_>| {
        let file = rustix::fs::memfd_create("image", MemfdFlags::CLOEXEC).map(File::from).ok()?;
        file.write_all_at(mapped.content, 0).ok()?;
        file.set_len(mapped.content.len() as u64 + mapped.longer).ok()?;
        Image::read(&file)
    };
    let images: Vec<_> = files.iter().map(read).collect();
    for (file, image) in files.iter().zip(&images) {
        if let Some(image) = image {
            check_image(file, image, record);
        }
    }
    let bias = |file: &Mapped<'_>, image: &Option<Image>| {
        image.as_ref()?.bias(file.mapping.start, file.mapping.offset)
    };
    let biases: Vec<_> = files.iter().zip(&images).map(|(file, image)| bias(file, image)).collect();
    let mappings = files.iter().map(|file| file.mapping.clone());
    let mut unwinding = Unwinding::of(record.process, mappings.zip(images).collect());

    // A process that is gone: what is not known of it cannot be found out.
    const GONE: i32 = -1;
    let frames = unwinding.frames(record, GONE);
    let sampled = unwinding.frames(&NativeRecord { call: None, ..record.clone() }, GONE);
    assert_eq!(unwinding.frames(record, GONE), frames);
    assert_eq!(frames.is_some(), sampled.is_some());
    let (frames, sampled) = (frames.unwrap_or_default(), sampled.unwrap_or_default());
    assert!(frames.len() == sampled.len() && frames.len() <= FRAMES);
    for (frame, sample) in frames.iter().zip(&sampled) {
        let at = PATHS.iter().position(|path| **path == *frame.object);
        let at = files.iter().position(|file| Some(file.mapping.inode as usize) == at);
        let found = at.and_then(|at| Some((&files[at], biases[at]?)));
        assert!(found.is_some(), "{frame:?} is in no file");
        if let Some((file, bias)) = found {
            check_frame(file, bias, frame);
        }
        // Of a sample the function's beginning is told, and nothing else differs.
        let NativeFrame { function, object, address } = sample;
        assert!((function, object) == (&frame.function, &frame.object));
        assert!(*address <= frame.address);
    }
    frames
}

fn parse(input: &[u8]) -> Option<(NativeRecord, Vec<Mapped<'_>>)> {
    let (head, mut rest) = input.split_first_chunk::<HEAD>()?;
    let word = |at: usize| head[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let long = |at: usize| head[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let short = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
    let mut part = |length: usize| {
        let (part, tail) = rest.split_at(length.min(rest.len()));
        rest = tail;
        part
    };
    let (pc, sp, fp) = (word(0), word(8), word(16));
    let record = NativeRecord {
        process: ProcessId(1),
        stack_id: 1,
        call: Some(0),
        registers: Registers { pc, sp, fp, lr: fp },
        low: sp.wrapping_sub(RED_ZONE),
        stack: part(short(24).min(MAX_STACK)).to_vec(),
    };
    let files = PATHS.iter().enumerate().map(|(index, path)| {
        let at = 26 + index * FILE;
        let start = word(at);
        let length = if index + 1 == PATHS.len() { usize::MAX } else { short(at + 24) };
        let mapping = Mapping {
            start,
            end: start.saturating_add(long(at + 16).into()),
            executable: true,
            offset: word(at + 8),
            device: 1,
            inode: index as u64,
            path: path.into(),
        };
        Mapped { mapping, content: part(length), longer: u64::from(long(at + 20)) % MAX_FILE }
    });
    Some((record, files.collect()))
}

/// A file takes so much memory, and where it names an address, its name lies there.
fn check_image(file: &Mapped<'_>, image: &Image, record: &NativeRecord) {
    assert!(image.cost <= MAX_COST);
    let Some(bias) = image.bias(file.mapping.start, file.mapping.offset) else { return };
    let words = record.stack.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
    for address in words.take(16).chain([0, 1, u64::MAX]) {
        for address in [address, address.wrapping_sub(bias)] {
            if let Some(symbol) = image.symbol(address) {
                assert!(symbol.start <= address);
                check_name(file.content, &symbol.name);
            }
            let function = image.tables.as_ref().and_then(|tables| tables.function(address));
            assert!(function.is_none_or(|start| start <= address));
        }
    }
}

fn check_frame(file: &Mapped<'_>, bias: u64, frame: &NativeFrame) {
    let mapped = file.mapping.start..file.mapping.end;
    // Where it goes on may be just behind the function's end.
    let at = bias.wrapping_add(frame.address);
    assert!(mapped.contains(&at) || mapped.contains(&at.wrapping_sub(1)), "{frame:?}");
    if let Some(function) = &frame.function {
        let shown = function.strip_suffix('…').unwrap_or(function);
        assert!(shown.chars().count() <= NAME);
        check_name(file.content, shown);
    }
}

/// A name is there as it is, or a compiler's mark is before what it is made of.
fn check_name(content: &[u8], name: &str) {
    let holds = |part: &[u8]| content.windows(part.len()).any(|window| window == part);
    let mangled = || [&b"_Z"[..], b"_R"].into_iter().any(holds);
    assert!(name.is_empty() || holds(name.as_bytes()) || mangled(), "{name:?} is nowhere");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exercise the inputs made from real interpreters: they are unwound to the Python frame, as
    /// their threads were, or the fuzzer has nothing to begin with.
    #[test]
    fn what_fuzzing_begins_with_is_unwound() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/native");
        let names = |name: &str| -> Vec<String> {
            let input = std::fs::read(format!("{corpus}/{name}")).expect("a seed");
            let (record, files) = parse(&input).expect("an input");
            unwind(&record, files).iter().map(NativeFrame::name).collect()
        };
        // The last one is stripped.
        let last = [("3.8.18", "os_read"), ("3.13.0", "os_read"), ("3.14.10", "read")];
        for (name, expected) in last {
            let names = names(name);
            let last = names.last().map(|last| last.split('.').next());
            assert_eq!(last, Some(Some(expected)), "{name}: {names:?}");
        }
        let [doubled, tagged] = &names("expressions-and-mangled-names")[..] else {
            panic!("two frames");
        };
        assert!(doubled.starts_with("f(pair<int, int>, pair<pair<int") && doubled.ends_with('…'));
        assert_eq!(tagged, "app::main[abi:cxx11]()");
    }
}
