//! An interpreter in a mount namespace of its own, as in a container: its files are found there,
//! not under the same names here.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use pitviper::python::analyse;

use super::installed::supported;
use super::program::Program;

const SCRIPT: &str = r#"
mount --bind "$1" "$2" && export LD_LIBRARY_PATH="$2/lib" PYTHONHOME="$2"
exec "$2/bin/$3" -c 'print(1, flush=True); input()'
"#;

#[test]
fn files_of_another_mount_namespace_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    for python in supported() {
        let file = python.path.canonicalize().unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let prefix = file.parent().unwrap().parent().unwrap().to_str().unwrap();
        // Whoever is not root may be it in a user namespace.
        let user: &[&str] =
            if rustix::process::geteuid().is_root() { &[] } else { &["--map-root-user"] };
        let arguments =
            ["--mount", "sh", "-ec", SCRIPT, "sh", prefix, folder.to_str().unwrap(), name];
        // unshare(1) makes the new root private, which a plain chroot's root cannot be.
        let mut probe = Command::new("unshare");
        if !probe.args(user).args(["--mount", "true"]).status().unwrap().success() {
            assert!(std::env::var_os("CI").is_none(), "no mount namespace can be made");
            println!("skipped: no mount namespace can be made here");
            return;
        }
        let mut program = Program::start(Path::new("unshare"), user.iter().chain(&arguments));
        assert_eq!(program.line(), "1\n", "{prefix} could not be mounted");

        let interpreter = analyse(program.pid()).unwrap();
        assert_eq!(interpreter.version, python.version);
        // Where these tests run in a chroot, the kernel names the files of another namespace from
        // that one's root, and so by a longer path.
        let inside = folder.strip_prefix("/").unwrap();
        let executable = Path::new(&interpreter.executable);
        assert!(executable.ends_with(inside.join("bin").join(name)), "{}", executable.display());
        let image = &interpreter.image;
        assert!(image.ancestors().any(|folder| folder.ends_with(inside)), "{}", image.display());
        for point in [interpreter.code_dealloc, interpreter.resource_warning] {
            let point = point.unwrap();
            assert!(File::open(&point.path).unwrap().metadata().unwrap().len() > point.file_offset);
        }
    }
}
