//! Which line of a stack is responsible.
//!
//! A descriptor is made deep inside the standard library or an installed package, and mended in the
//! user's own code. The responsible line is the innermost frame that is neither; if there is none,
//! the innermost outside the standard library; else the innermost of all.

use std::path::{Component, Path, PathBuf};

use super::bundled;
use crate::python::{Frame, Stack};

/// Whose code a frame runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The code object could not be read.
    Unknown,
    /// Python's standard library.
    Stdlib,
    /// An installed package; with application roots, everything outside them.
    Package,
    /// The user's own code.
    Own,
}

/// Tells the user's own code from everybody else's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ownership {
    roots: Vec<PathBuf>,
}

impl Ownership {
    /// `roots` are the directories that hold the user's own code (`--app-root`). Without any, own is
    /// what lies neither in the standard library nor in `site-packages` or `dist-packages`. With
    /// some, own is what lies beneath one of them, and not in a virtual environment in there.
    pub fn new(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { roots: roots.into_iter().map(|root| normal(&root)).collect() }
    }

    /// Whose code the file `file` (`co_filename`) is. `directory` is the process's working
    /// directory, which names without a leading `/` are relative to.
    pub fn owner(&self, file: &str, directory: Option<&Path>) -> Owner {
        if file.is_empty() || file == "?" {
            return Owner::Unknown;
        }
        if file.starts_with('<') && file.ends_with('>') {
            return match file {
                _ if file.starts_with("<frozen ") => Owner::Stdlib,
                // `<string>`, `<stdin>`, `<ipython-input-…>`: what somebody typed or generated.
                _ if self.roots.is_empty() => Owner::Own,
                _ => Owner::Package,
            };
        }
        let installed = installed(file);
        if self.roots.is_empty() {
            return installed.unwrap_or(Owner::Own);
        }
        let path = match directory {
            Some(directory) if !file.starts_with('/') => normal(&directory.join(file)),
            _ => normal(Path::new(file)),
        };
        let beneath = self.roots.iter().find_map(|root| path.strip_prefix(root).ok());
        match beneath {
            // A leading slash lets a `site-packages` that stands first be seen as one.
            Some(rest) => {
                installed_path(&format!("/{}", rest.to_string_lossy())).unwrap_or(Owner::Own)
            }
            None => installed.unwrap_or(Owner::Package),
        }
    }

    /// The index of the frame of `stack` that is responsible, and whose code it is. `None` for a
    /// stack without frames.
    pub fn responsible(&self, stack: &Stack, directory: Option<&Path>) -> Option<(usize, Owner)> {
        let mut best: Option<(usize, Owner)> = None;
        for (index, frame) in stack.frames.iter().enumerate() {
            let mut owner = self.owner(&frame.file, directory);
            if owner == Owner::Own && is_launcher(frame) {
                // As `python -m PACKAGE` has it, where no such file is on the stack.
                let inner = index.checked_sub(1).map(|inner| &stack.frames[inner].file);
                if inner.is_some_and(|file| self.owner(file, directory) == Owner::Package) {
                    owner = Owner::Package;
                }
            }
            // Frames come innermost first, so an equal one further out does not win.
            if best.is_none_or(|(_, known)| owner > known) {
                best = Some((index, owner));
            }
            if owner == Owner::Own {
                break;
            }
        }
        best
    }

    /// The frame that is responsible, and whose code it is.
    pub fn responsible_frame<'a>(
        &self,
        stack: &'a Stack,
        directory: Option<&Path>,
    ) -> Option<(&'a Frame, Owner)> {
        let (index, owner) = self.responsible(stack, directory)?;
        Some((stack.frames.get(index)?, owner))
    }
}

/// The last line of what installers write into `bin` for a package's command: `sys.exit(main())` is
/// line 8 at pip's, 10 at uv's.
const LAUNCHER_LINES: u32 = 12;

/// Whether this can be what an installer wrote, to run a package's main function: `bin/uvicorn`.
fn is_launcher(frame: &Frame) -> bool {
    let mut parts = frame.file.rsplit('/');
    let (name, folder) = (parts.next().unwrap_or_default(), parts.next());
    folder == Some("bin")
        && !name.contains('.')
        && &*frame.function == "<module>"
        && frame.line <= LAUNCHER_LINES
}

fn installed(file: &str) -> Option<Owner> {
    // Relative names get a slash too: `lib/python3.12/os.py` is the standard library.
    if file.starts_with('/') {
        return installed_path(file);
    }
    let bundled = bundled::is_stdlib(file).then_some(Owner::Stdlib);
    bundled.or_else(|| installed_path(&format!("/{file}")))
}

fn installed_path(file: &str) -> Option<Owner> {
    if file.contains("/site-packages/") || file.contains("/dist-packages/") {
        return Some(Owner::Package);
    }
    // A file in one of these directories, not one that has such a name itself.
    let (directory, _) = file.rsplit_once('/')?;
    let mut before = "";
    for part in directory.split('/') {
        if is_archive(part) || (matches!(before, "lib" | "lib64") && is_versioned(part)) {
            return Some(Owner::Stdlib);
        }
        before = part;
    }
    None
}

/// `python3`, `python3.12`, `python3.13t` (free-threaded).
fn is_versioned(part: &str) -> bool {
    let Some(rest) = part.strip_prefix("python3") else { return false };
    match rest.strip_prefix('.') {
        None => rest.is_empty(),
        Some(minor) => {
            let digits = minor.trim_end_matches(['t', 'd']);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        }
    }
}

/// `python312.zip`: the standard library of embedded builds.
fn is_archive(part: &str) -> bool {
    part.strip_prefix("python3")
        .and_then(|rest| rest.strip_suffix(".zip"))
        .is_some_and(|minor| minor.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Without `.` and `..`, by the text alone: the file may be gone, or in another mount namespace.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(files: &[&str]) -> Stack {
        let frames = files.iter().map(|file| Frame::new(*file, "f", None, 1));
        Stack { frames: frames.collect(), ..Stack::default() }
    }

    fn responsible(files: &[&str]) -> Option<(usize, Owner)> {
        Ownership::default().responsible(&stack(files), None)
    }

    /// Exercise the order of preference: own, installed, standard library, unreadable.
    #[test]
    fn own_code_wins_then_packages_then_the_innermost() {
        let stdlib = "/usr/lib/python3.11/tempfile.py";
        let package = "/venv/lib/python3.11/site-packages/requests/sessions.py";
        assert_eq!(
            responsible(&[stdlib, package, "/srv/app.py", "/srv/main.py"]),
            Some((2, Owner::Own))
        );
        assert_eq!(responsible(&[stdlib, package, stdlib]), Some((1, Owner::Package)));
        assert_eq!(responsible(&[stdlib, "<frozen runpy>"]), Some((0, Owner::Stdlib)));
        assert_eq!(responsible(&["?", stdlib]), Some((1, Owner::Stdlib)));
        assert_eq!(responsible(&["?", "?"]), Some((0, Owner::Unknown)));
        assert_eq!(responsible(&[]), None);
    }

    /// Exercise what an installer wrote, and what a user did.
    #[test]
    fn launchers_are_not_own_code() {
        let package = "/venv/lib/python3.11/site-packages/uvicorn/main.py";
        let of = |files: &[&str], line| {
            let mut stack = stack(files);
            if let Some(last) = stack.frames.last_mut() {
                *last = Frame::new(&*last.file, "<module>", None, line);
            }
            Ownership::default().responsible(&stack, None)
        };
        let script = "/venv/bin/uvicorn";
        assert_eq!(of(&[package, script], 8), Some((0, Owner::Package)));
        assert_eq!(of(&["/srv/app.py", package, script], 8), Some((0, Owner::Own)));
        assert_eq!(of(&[package, script], 40), Some((1, Owner::Own)), "a program");
        assert_eq!(of(&[package, "/srv/app.py", script], 8), Some((1, Owner::Own)));
        assert_eq!(of(&[script], 8), Some((0, Owner::Own)));
        assert_eq!(of(&[package, "/srv/bin/serve.py"], 8), Some((1, Owner::Own)));
    }

    /// Exercise the names that interpreters and installers give.
    #[test]
    fn owners_by_file_name() {
        let none = Ownership::default();
        for (file, owner) in [
            ("/usr/lib/python3.11/socket.py", Owner::Stdlib),
            ("/usr/lib64/python3.9/socket.py", Owner::Stdlib),
            ("/opt/py/lib/python3.13t/socket.py", Owner::Stdlib),
            ("/opt/py/lib/python3/socket.py", Owner::Stdlib),
            ("/opt/embedded/python312.zip/socket.py", Owner::Stdlib),
            ("lib/python3.8/socket.py", Owner::Stdlib),
            ("/usr/lib/python3/dist-packages/yaml/reader.py", Owner::Package),
            ("/home/u/.local/lib/python3.12/site-packages/x.py", Owner::Package),
            ("<frozen importlib._bootstrap>", Owner::Stdlib),
            ("<string>", Owner::Own),
            ("<stdin>", Owner::Own),
            ("<ipython-input-3-abc>", Owner::Own),
            ("<attrs generated init app.Model>", Owner::Own),
            ("/srv/lib/python3.d/app.py", Owner::Own),
            ("/srv/python312.zip", Owner::Own),
            ("/srv/lib/python3.11", Owner::Own),
            ("app.py", Owner::Own),
            ("socket.py", Owner::Stdlib),
            ("concurrent/futures/thread.py", Owner::Stdlib),
            ("/srv/socket.py", Owner::Own),
            ("", Owner::Unknown),
        ] {
            assert_eq!(none.owner(file, None), owner, "{file}");
        }
    }

    /// Exercise `--app-root`: beneath is own, the rest is not, a virtual environment is not either.
    #[test]
    fn roots_make_everything_else_foreign() {
        let ownership =
            Ownership::new([PathBuf::from("/srv/app/./"), "/opt/site-packages/mine".into()]);
        let directory = Some(Path::new("/srv/app/jobs"));
        for (file, owner) in [
            ("/srv/app/main.py", Owner::Own),
            ("/srv/app/../other/main.py", Owner::Package),
            ("/srv/application/main.py", Owner::Package),
            ("/srv/app/.venv/lib/python3.11/site-packages/x.py", Owner::Package),
            ("/srv/app/.venv/lib/python3.11/json/decoder.py", Owner::Stdlib),
            ("/opt/site-packages/mine/core.py", Owner::Own),
            ("/opt/site-packages/theirs/core.py", Owner::Package),
            ("/usr/lib/python3.11/json/decoder.py", Owner::Stdlib),
            ("nightly.py", Owner::Own),
            ("../../elsewhere.py", Owner::Package),
            ("<string>", Owner::Package),
        ] {
            assert_eq!(ownership.owner(file, directory), owner, "{file}");
        }
    }
}
