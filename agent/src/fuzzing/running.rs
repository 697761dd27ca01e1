//! A real interpreter that runs a program, of which inputs are made.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Ends with the value.
pub(crate) struct Running {
    child: Child,
    /// What the program wrote before it was ready.
    pub(crate) lines: Vec<String>,
}

impl Running {
    /// Starts `python` with a program, and waits until that has written the line `ready`.
    pub(crate) fn start(python: &Path, program: &str) -> Self {
        let mut command = Command::new(python);
        command.args(["-I", "-S", "-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("an interpreter");
        let mut output = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut running = Self { child, lines: Vec::new() };
        loop {
            match output.next().expect("it gets ready").expect("text") {
                line if line == "ready" => return running,
                line => running.lines.push(line),
            }
        }
    }

    /// A wrapper's process becomes the interpreter by exec.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
