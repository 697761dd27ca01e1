//! Builds `workloads/embedded.c`, a program with an interpreter in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::interpreter::Interpreter;
use crate::output;
use crate::site::workload;

/// What it takes to have an interpreter in a program.
#[derive(Debug, Clone)]
pub struct Embeddable {
    /// The interpreter.
    pub python: Interpreter,
    /// Its libpython.
    pub library: PathBuf,
    /// Where its standard library is found from.
    pub home: String,
    config: String,
}

impl Embeddable {
    /// Nothing where there are no headers, or no shared libpython that can be opened from here.
    ///
    /// # Errors
    /// When the interpreter does not run.
    pub fn of(python: &Interpreter) -> Result<Option<Embeddable>> {
        let config = format!("{}-config", python.command[0]);
        if python.command.len() > 1 || !Path::new(&config).exists() {
            return Ok(None);
        }
        let ask = "import sysconfig as s; print(*map(s.get_config_var, \
                   ('prefix', 'LIBDIR', 'INSTSONAME', 'Py_ENABLE_SHARED')))";
        let told = output::of(python.command().args(["-c", ask]))?;
        let [home, folder, name, "1"] = told.split_whitespace().collect::<Vec<_>>()[..] else {
            return Ok(None);
        };
        let library = Path::new(folder).join(name);
        let home = home.to_owned();
        Ok(library.exists().then(|| Embeddable { python: python.clone(), library, home, config }))
    }

    /// Compiles the program into `folder`, linked with libpython or not.
    ///
    /// # Errors
    /// When the compiler fails.
    pub fn build(&self, folder: &Path, linked: bool) -> Result<PathBuf> {
        let program = folder.join(if linked { "linked" } else { "opens" });
        let mut compile = Command::new("cc");
        compile.arg(workload("embedded.c")).arg("-o").arg(&program).args(self.flags("--cflags")?);
        if linked {
            // Everything is called by name, which the linker does not see.
            compile.arg("-Wl,--no-as-needed").args(self.flags("--ldflags")?);
            let folder = self.library.parent().context("libpython is in no folder")?;
            compile.arg(format!("-Wl,-rpath,{}", folder.display()));
        }
        output::of(compile.args(["-ldl", "-lpthread"]))?;
        Ok(program)
    }

    fn flags(&self, which: &str) -> Result<Vec<String>> {
        let flags = output::of(Command::new(&self.config).args(["--embed", which]))?;
        Ok(flags.split_whitespace().map(str::to_owned).collect())
    }

    /// A command that runs `program`, which [`Embeddable::build`] has made, on files in `folder`;
    /// it takes `keys` thread-specific keys first.
    pub fn command(&self, program: &Path, keys: u32, folder: &Path) -> Command {
        let linked = program.ends_with("linked");
        let mut command = Command::new(program);
        command.arg(keys.to_string());
        if linked {
            command.arg("-")
        } else {
            command.arg(&self.library)
        };
        command.arg(workload("")).arg(folder).env("PYTHONHOME", &self.home);
        command
    }
}
