//! Code objects, decoded: what turns an instruction into file, function and line.

use std::sync::Arc;

use thiserror::Error;

use crate::event::CodeRecord;

use super::lines::Format;
use super::stack::{CodeNames, Frame};
use super::text;
use super::version::Version;

/// Longest line table that is kept, in bytes.
const MAX_LINE_TABLE: usize = 1 << 20;

/// Bytes of a code unit.
const UNIT: i64 = 2;

/// Why a code object could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CodeError {
    /// The format of its line table is not known.
    #[error("failed to decode a code object: CPython {0} is not supported")]
    UnsupportedVersion(Version),
    /// A copied string has a width that no Python string has: the object was not a code object.
    #[error("failed to decode a code object: {0} is not a string")]
    NotAString(&'static str),
}

/// One code object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    pub(super) names: Arc<CodeNames>,
    first_line: i32,
    /// In bytes, from 3.11 on.
    first_traceable: i64,
    format: Format,
    line_table: Box<[u8]>,
}

impl Code {
    /// Decodes `record`, which was copied from an interpreter of `version`. Strings past 4,096
    /// code points are cut, visibly; of a line table past 1 MiB the rest has no lines.
    ///
    /// # Errors
    ///
    /// [`CodeError`] when it cannot be a code object of that version.
    pub fn decode(record: &CodeRecord, version: Version) -> Result<Self, CodeError> {
        let format = Format::of(version).ok_or(CodeError::UnsupportedVersion(version))?;
        let strings = [("co_filename", Some(&record.filename)), ("co_name", Some(&record.name))];
        for (name, string) in strings.into_iter().chain([("co_qualname", record.qualname.as_ref())])
        {
            if string.is_some_and(|string| !matches!(string.kind, 0 | 1 | 2 | 4)) {
                return Err(CodeError::NotAString(name));
            }
        }
        let table = &record.line_table.data;
        let names = CodeNames {
            file: text::decode(&record.filename).into(),
            function: text::decode(&record.name).into(),
            qualname: record.qualname.as_ref().map(|qualname| text::decode(qualname).into()),
        };
        Ok(Self {
            names: Arc::new(names),
            first_line: record.first_line,
            first_traceable: i64::from(record.first_traceable) * UNIT,
            format,
            line_table: table[..table.len().min(MAX_LINE_TABLE)].into(),
        })
    }

    /// The frame that runs `instruction` (as in [`crate::event::RawFrame::instruction`]), with the
    /// line that `frame.f_lineno` gives. `None` for a frame of 3.11+ that has not come to its
    /// first traceable instruction: `sys._getframe` hides it too.
    pub fn frame(&self, instruction: u64) -> Option<Frame> {
        let address = match self.format {
            Format::Lnotab => i64::from(last_index(instruction)),
            // 3.10 counts in code units.
            Format::Pep626 => i64::from(last_index(instruction)) * UNIT,
            Format::Pep657 if instruction.cast_signed() < self.first_traceable => return None,
            Format::Pep657 => instruction.cast_signed(),
        };
        let line = self.format.line(&self.line_table, self.first_line, address);
        let line = line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
        Some(Frame { code: Arc::clone(&self.names), line })
    }

    /// About how many bytes of memory it takes, besides the file name that it may share.
    pub(super) fn cost(&self) -> usize {
        let CodeNames { function, qualname, .. } = &*self.names;
        let text = function.len() + qualname.as_ref().map_or(0, |name| name.len());
        size_of::<Self>() + size_of::<CodeNames>() + text + self.line_table.len()
    }
}

/// `f_lasti`, an `int`.
fn last_index(instruction: u64) -> i32 {
    (instruction as u32).cast_signed()
}
