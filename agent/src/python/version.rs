//! Versions of CPython.

use std::fmt;

/// A version of CPython, without its pre-release part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// 3.
    pub major: u8,
    /// The feature release: layouts and line tables depend on it.
    pub minor: u8,
    /// The patch release.
    pub micro: u8,
}

impl Version {
    /// Decodes `PY_VERSION_HEX` (`Include/patchlevel.h`): a byte each for major, minor, micro,
    /// then the release level and serial.
    pub fn from_hex(hex: u32) -> Self {
        let [major, minor, micro, _] = hex.to_be_bytes();
        Self { major, minor, micro }
    }

    /// Reads the `3.10.13` at the start of what `Py_GetVersion` returns, with the `rc1` or `+`
    /// that may follow, up to the space. `None` when the text does not start like a version.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let (major, rest) = number(text)?;
        let (minor, rest) = number(rest.strip_prefix(b".")?)?;
        let (micro, rest) = number(rest.strip_prefix(b".")?)?;
        let suffix = rest.iter().position(|&byte| byte == b' ')?;
        rest[..suffix]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'+')
            .then_some(Self { major, minor, micro })
    }

    /// Whether it can be read: 3.8 and newer. What is newer than [`Self::is_tested`] knows is read
    /// as the process describes itself.
    pub fn is_supported(self) -> bool {
        self.major == 3 && self.minor >= 8
    }

    /// Whether this program is tested with this feature release: 3.8 to 3.15.
    pub fn is_tested(self) -> bool {
        self.is_supported() && self.minor <= 15
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

fn number(text: &[u8]) -> Option<(u8, &[u8])> {
    let digits = text.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let value = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
    Some((value, &text[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_py_get_version_writes() {
        let version = |micro| Some(Version { major: 3, minor: 10, micro });
        assert_eq!(Version::from_text(b"3.10.13 (main, Feb  1 2024"), version(13));
        assert_eq!(Version::from_text(b"3.10.4+ (heads/3.10:"), version(4));
        assert_eq!(Version::from_text(b"3.10.0rc2 (default"), version(0));
        assert_eq!(Version::from_text(b"3.10.13"), None);
        assert_eq!(Version::from_text(b"3.10 (main"), None);
        assert_eq!(Version::from_text(b"3.1000.1 (main"), None);
        assert_eq!(Version::from_text(b""), None);
    }

    #[test]
    fn reads_the_hexadecimal_form() {
        let version = Version::from_hex(0x030d_00f0);
        assert_eq!(version, Version { major: 3, minor: 13, micro: 0 });
        assert_eq!(version.to_string(), "3.13.0");
        assert!(version.is_supported());
        assert!(!Version::from_hex(0x0307_10f0).is_supported());
        assert!(Version::from_hex(0x0310_00f0).is_supported());
        assert!(!Version::from_hex(0x0310_00f0).is_tested());
        assert!(!Version::from_hex(0x0400_00f0).is_supported());
    }
}
