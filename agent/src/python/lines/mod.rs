//! From an instruction to its line: one format of line table a file. Each gives the same answer as
//! `PyCode_Addr2Line` of its versions, for any bytes whatsoever and in time linear in the table.

mod lnotab;
mod pep626;
mod pep657;

use super::version::Version;

/// The format of a line table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// 3.8, 3.9: `co_lnotab`.
    Lnotab,
    /// 3.10: `co_linetable` of PEP 626.
    Pep626,
    /// 3.11+: `co_linetable` of PEP 657.
    Pep657,
}

impl Format {
    /// The format that `version` uses; `None` when the version is not supported.
    pub(super) fn of(version: Version) -> Option<Self> {
        match version.minor {
            _ if !version.is_supported() => None,
            8 | 9 => Some(Self::Lnotab),
            10 => Some(Self::Pep626),
            _ => Some(Self::Pep657),
        }
    }

    /// The line of the instruction at byte offset `address`; `None` when it has none.
    pub(super) fn line(self, table: &[u8], first_line: i32, address: i64) -> Option<i32> {
        match self {
            Self::Lnotab => Some(lnotab::line(table, first_line, address)),
            Self::Pep626 => pep626::line(table, first_line, address),
            Self::Pep657 => pep657::line(table, first_line, address),
        }
    }
}
