//! Interpreters that no package has: without the interpreter lock, and on musl. They are built from
//! the source of Debian's own package, once, under `target/pythons`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result, bail};

use super::source::{self, Source};
use crate::interpreters::{self, Interpreter};
use crate::process;
use crate::workspace;

/// One way to build it.
struct Variant {
    source: &'static Source,
    /// The origin in its label; with the version, its folder.
    name: &'static str,
    configure: &'static [&'static str],
    musl: bool,
}

impl Variant {
    const fn free_threaded(source: &'static Source) -> Self {
        Self { source, name: "free-threaded", configure: &["--disable-gil"], musl: false }
    }

    fn folder(&self) -> String {
        format!("3.{}-{}", self.source.minor, self.name)
    }
}

const VARIANTS: [Variant; 4] = [
    Variant::free_threaded(&source::V3_13),
    Variant {
        source: &source::V3_13,
        name: "musl",
        configure: &["--with-ensurepip=no"],
        musl: true,
    },
    Variant::free_threaded(&source::V3_14),
    Variant::free_threaded(&source::V3_15),
];

/// Builds what is not there yet; some minutes each.
pub(super) fn all() -> Result<Vec<Interpreter>> {
    let folder = workspace::target().join("pythons");
    VARIANTS.iter().map(|variant| interpreter(&folder, variant)).collect()
}

/// How an interpreter was built, by its own account.
pub(super) fn description(interpreter: &Interpreter) -> Result<String> {
    // Debian's programs are static, whatever their configuration says of the library beside them.
    let code = "import sysconfig; v = sysconfig.get_config_var; \
                print('shared' if 'libpython' in open('/proc/self/maps').read() else 'static', \
                'free-threaded' if v('Py_GIL_DISABLED') else '', \
                'musl' if 'musl' in (v('MULTIARCH') or '') else 'glibc')";
    let said = process::output(Command::new(&interpreter.program).args(["-c", code]))?;
    Ok(said.split_whitespace().collect::<Vec<_>>().join(", "))
}

fn interpreter(folder: &Path, variant: &Variant) -> Result<Interpreter> {
    let prefix = folder.join(variant.folder());
    let program = prefix.join(format!("bin/python3.{}", variant.source.minor));
    if !program.exists() {
        let source = variant.source.archive(folder)?;
        build(folder, &source, variant, &prefix)?;
    }
    let (version, pre_release) =
        interpreters::version_with_pre_release(&mut Command::new(&program))
            .with_context(|| format!("{} does not run", program.display()))?;
    let origin = match pre_release {
        None => variant.name.to_owned(),
        Some(pre_release) => format!("{pre_release}-{}", variant.name),
    };
    Ok(Interpreter { version, origin: Some(origin), program })
}

fn build(folder: &Path, source: &Path, variant: &Variant, prefix: &Path) -> Result<()> {
    let tree = folder.join(format!("{}-build", variant.folder()));
    if tree.exists() {
        fs::remove_dir_all(&tree).context("failed to remove an earlier build")?;
    }
    fs::create_dir_all(&tree).context("failed to make a folder to build in")?;
    let name = variant.folder();
    eprintln!("Building CPython ({name}) in {} (once, some minutes).", tree.display());
    let archive = source.as_os_str();
    process::run(
        Command::new("tar").arg("xf").arg(archive).arg("--strip-components=1").current_dir(&tree),
    )?;
    // Under another name first, so that an interrupted installation is not taken for a whole one.
    let jobs = format!("-j{}", available_parallelism()?);
    let partial = folder.join(format!("{name}.partial"));
    let mut configure = Command::new("./configure");
    configure.arg(format!("--prefix={}", prefix.display())).args(variant.configure);
    if variant.musl {
        configure.env("CC", musl_compiler(folder)?).env("PKG_CONFIG", "false");
    }
    let mut make = Command::new("make");
    make.arg(jobs);
    let mut install = Command::new("make");
    install.arg("install").arg(format!("DESTDIR={}", partial.display()));
    for mut command in [configure, make, install] {
        let log = tree.join("log");
        let file = fs::File::options().create(true).append(true).open(&log)?;
        command.current_dir(&tree).stdout(file.try_clone()?).stderr(file);
        let status = process::status(&mut command)?;
        if !status.success() {
            bail!("`{}` failed: {status}; see {}", process::display(&command), log.display());
        }
    }
    let made = partial.join(prefix.strip_prefix("/").unwrap_or(prefix));
    fs::rename(&made, prefix).context("failed to move what was installed")?;
    fs::remove_dir_all(&partial).context("failed to remove a folder")?;
    fs::remove_dir_all(&tree).context("failed to remove the build")
}

/// musl's compiler, which asks the machine's for the name of its architecture and so gets glibc's.
fn musl_compiler(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("musl-cc");
    let script = "#!/bin/sh\ntest \"$1\" != --print-multiarch || { echo x86_64-linux-musl; exit; }\n\
                  exec musl-gcc \"$@\"\n";
    fs::write(&path, script).context("failed to write the compiler's wrapper")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
        .context("failed to make the compiler's wrapper executable")?;
    Ok(path)
}
