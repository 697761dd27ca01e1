//! Certificates for tests of TLS, by openssl.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

/// Makes an authority in `folder` (`ca.pem`) and what it certifies, each for `localhost` and
/// 127.0.0.1: `server`, `other` and `client`, with `.pem` and `.key`.
///
/// # Errors
/// When openssl fails.
pub fn make(folder: &Path) -> Result<()> {
    let script = "
        set -e
        new='openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -batch'
        $new -x509 -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
        for name in server other client; do
            $new -subj /CN=$name -keyout $name.key -out $name.csr
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > names
            openssl x509 -req -days 2 -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
                -extfile names -out $name.pem
        done";
    let done = Command::new("sh").args(["-c", script]).current_dir(folder).output()?;
    ensure!(done.status.success(), "openssl: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}
