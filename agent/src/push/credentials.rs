//! Who the agent is to a receiver: a file, so that no secret stands on a command line. It is read for
//! each connection, for tokens are renewed.

use std::io::Read;
use std::path::{Path, PathBuf};

use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes of the file; a token has some thousands at most.
const MOST: u64 = 64 << 10;

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the credentials in {path}: {what}")]
pub struct CredentialsError {
    path: PathBuf,
    what: String,
}

/// The `Authorization` header. A line with a colon is user and password, one without a bearer token,
/// which has none (RFC 6750, 2.1).
pub(super) fn read(path: &Path) -> Result<HeaderValue, CredentialsError> {
    let bad = |what: String| CredentialsError { path: path.to_owned(), what };
    let file = std::fs::File::open(path).map_err(|cause| bad(cause.to_string()))?;
    if !file.metadata().is_ok_and(|known| known.is_file()) {
        return Err(bad("it is no regular file".into()));
    }
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text).map_err(|cause| bad(cause.to_string()))?;
    let line = text.trim_end_matches(['\n', '\r']);
    if line.is_empty() || line.contains('\n') {
        return Err(bad("it has to be one line, USER:PASSWORD or a token".into()));
    }
    let value = match line.contains(':') {
        true => format!("Basic {}", STANDARD.encode(line)),
        false => format!("Bearer {line}"),
    };
    let mut value = HeaderValue::from_str(&value)
        .map_err(|_| bad("it has characters that no header may have".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exercise both kinds, and what is neither.
    #[test]
    fn the_colon_tells_a_password_from_a_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        for (text, expected) in [
            ("ann:secret\n", Some("Basic YW5uOnNlY3JldA==")),
            ("glc_abc=\r\n", Some("Bearer glc_abc=")),
            ("", None),
            ("\n", None),
            ("a\nb\n", None),
            ("tok\u{1}en", None),
        ] {
            std::fs::write(&path, text).expect("written");
            let found = read(&path).ok();
            assert_eq!(found.as_ref().and_then(|value| value.to_str().ok()), expected, "{text:?}");
        }
        assert!(read(Path::new("/dev/zero")).is_err());
        assert!(read(&folder.path().join("none")).is_err());
    }
}
