//! A result file for which there is no room. The limit that stands in for a full disk holds for a
//! whole process, so this test is alone in its program.

use pitviper::export::output::{OutputError, check_writable, write};

/// Exercise a write that fails half way: an error that says what to do, and neither half a file nor
/// a lost one.
#[test]
fn half_a_file_is_never_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out.svg");
    std::fs::write(&path, "as it was").expect("written");
    // SAFETY: no handler is installed; the signal that goes with the limit is ignored, and the write
    // fails instead.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let limit = rustix::process::Rlimit { current: Some(4_096), maximum: None };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).expect("limited");

    check_writable(&path).expect("an empty file has room");
    let error = write(&path, &vec![b'x'; 100_000]).expect_err("no room");

    assert!(matches!(error, OutputError::Write { .. }), "{error}");
    assert!(error.to_string().contains("free space"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "as it was");
    let entries = std::fs::read_dir(&directory).expect("a directory").count();
    assert_eq!(entries, 1, "no draft stays behind");
    write(&path, b"short").expect("what fits is written");
}
