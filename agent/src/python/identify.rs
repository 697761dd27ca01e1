//! Which version of CPython an image is, read from the running process.

use super::layout::COOKIE;
use super::memory::{ReadError, ReadMemory};
use super::target::Image;
use super::version::Version;

/// Most bytes of writable data that are searched for the version text.
const MAX_SEARCHED: u64 = 32 << 20;

const CHUNK: u64 = 1 << 20;

/// Longest text that `Py_GetVersion` writes.
const TEXT: usize = 256;

/// The version, or `None` when the process does not tell yet.
///
/// # Errors
///
/// Those of reading memory.
pub(super) fn version(
    memory: &impl ReadMemory,
    image: &Image,
    bias: u64,
) -> Result<Option<Version>, ReadError> {
    if let Some(runtime) = image.symbol("_PyRuntime") {
        let head = memory.read_bytes(runtime.wrapping_add(bias), 16)?;
        if head[..8] == COOKIE {
            return Ok(Some(from_hex(&head[8..])));
        }
    }
    if let Some(symbol) = image.symbol("Py_Version") {
        return Ok(Some(from_hex(&memory.read_bytes(symbol.wrapping_add(bias), 4)?)));
    }
    search(memory, image, bias)
}

fn from_hex(bytes: &[u8]) -> Version {
    Version::from_hex(bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)))
}

/// Before 3.11 there is no such variable, but initialisation has `Py_GetVersion` write
/// `3.10.13 (main, Jun  6 2024, 12:00:00) [GCC 12.2.0]` into a buffer of its own.
fn search(
    memory: &impl ReadMemory,
    image: &Image,
    bias: u64,
) -> Result<Option<Version>, ReadError> {
    let mut budget = MAX_SEARCHED;
    for range in image.writable() {
        let mut start = range.start;
        while start < range.end && budget > 0 {
            let length = (range.end - start).min(CHUNK).min(budget);
            budget -= length;
            // The tail of a segment may not be mapped; what is read whole counts.
            let block = match memory.read_bytes(start.wrapping_add(bias), length as usize) {
                Ok(block) => block,
                Err(ReadError::Unmapped { .. }) => break,
                Err(error) => return Err(error),
            };
            if let Some(version) = find_text(&block) {
                return Ok(Some(version));
            }
            // Chunks overlap, so that no text lies across their border.
            start += if length == CHUNK { CHUNK - TEXT as u64 } else { length };
        }
    }
    Ok(None)
}

fn find_text(block: &[u8]) -> Option<Version> {
    // Most of what is searched are zeros, and points are few.
    memchr::memchr_iter(b'.', block).find_map(|point| {
        let start = point.checked_sub(1)?;
        if !matches!(block[start.checked_sub(1)?..point], [0, b'0'..=b'9']) {
            return None;
        }
        let text = &block[start..block.len().min(start + TEXT)];
        let text = text.split(|&byte| byte == 0).next()?;
        let names_build_and_compiler =
            contains(text, b" (") && contains(text, b") ") && contains(text, b"[");
        names_build_and_compiler.then(|| Version::from_text(text)).flatten()
    })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_text_among_others() {
        let mut block = b"\x001.2.3\x003.9.1 no\x00x3.8.1 (a) \n[GCC]\x00".to_vec();
        assert_eq!(find_text(&block), None);
        block.extend_from_slice(b"3.10.13 (main, Jun  6 2024, 12:00:00) [GCC 12.2.0]\0\0");
        assert_eq!(find_text(&block), Some(Version { major: 3, minor: 10, micro: 13 }));
    }
}
