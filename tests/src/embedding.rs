//! Builds `workloads/embedded.c`, a program with an interpreter in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::interpreter::Interpreter;
use crate::output;
use crate::site::workload;

/// What it takes to have an interpreter in a program.
#[derive(Debug, Clone)]
pub struct Embeddable {
    /// The interpreter.
    pub python: Interpreter,
    /// Its libpython, in the root that it runs in.
    pub library: PathBuf,
    /// Where its standard library is found from.
    pub home: String,
}

/// Where libpython is, if it is there.
const ASK: &str = "
import os, sysconfig
told = [sysconfig.get_config_var(name) for name in ('prefix', 'LIBDIR', 'INSTSONAME')]
if os.path.isfile(os.path.join(*told[1:])):
    print(*told)
";

/// The interpreter's own process becomes another program, in the root that the interpreter is in.
const BECOME: &str = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])";

impl Embeddable {
    /// Nothing where there is no shared libpython.
    ///
    /// # Errors
    /// When the interpreter does not run.
    pub fn of(python: &Interpreter) -> Result<Option<Embeddable>> {
        let told = output::of(python.command().args(["-c", ASK]))?;
        let [home, folder, name] = told.split_whitespace().collect::<Vec<_>>()[..] else {
            return Ok(None);
        };
        // Where there is only a static one, that is what is named.
        let is_shared = name.contains(".so");
        let library = Path::new(folder).join(name);
        let home = home.to_owned();
        Ok(is_shared.then(|| Embeddable { python: python.clone(), library, home }))
    }

    /// Compiles the program into `folder`, linked with libpython or not.
    ///
    /// # Errors
    /// When the compiler fails.
    pub fn build(&self, folder: &Path, linked: bool) -> Result<PathBuf> {
        let program = folder.join(if linked { "linked" } else { "opens" });
        let mut compile = Command::new("cc");
        compile.args(["-Wall", "-Werror", "-g", "-O1"]).arg("-o").arg(&program);
        compile.arg(workload("embedded.c")).args(["-ldl", "-lpthread"]);
        if linked {
            // Everything is called by name, which the linker does not see. What libpython needs of
            // the C library may be newer than what is here.
            compile.args(["-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined"]);
            compile.arg(self.copy_of_library(folder)?);
            let folder = self.library.parent().context("libpython is in no folder")?;
            compile.arg(format!("-Wl,-rpath,{}", folder.display()));
        }
        output::of(&mut compile)?;
        Ok(program)
    }

    /// A copy that the linker can read wherever the interpreter's root is.
    fn copy_of_library(&self, folder: &Path) -> Result<PathBuf> {
        let copy = folder.join(self.library.file_name().context("libpython has no name")?);
        let mut command = self.python.command();
        command.args(["-c", "import shutil, sys; shutil.copyfile(*sys.argv[1:])"]);
        output::of(command.arg(&self.library).arg(&copy))?;
        ensure!(copy.exists(), "{} is not shared with {}", folder.display(), self.python.label);
        Ok(copy)
    }

    /// A command that runs `program`, which [`Embeddable::build`] has made, on files in `folder`;
    /// it takes `keys` thread-specific keys first.
    pub fn command(&self, program: &Path, keys: u32, folder: &Path) -> Command {
        let linked = program.ends_with("linked");
        let mut command = self.python.command();
        command.args(["-c", BECOME]).arg(program).arg(keys.to_string());
        if linked {
            command.arg("-")
        } else {
            command.arg(&self.library)
        };
        command.arg(workload("")).arg(folder).env("PYTHONHOME", &self.home);
        command
    }
}
