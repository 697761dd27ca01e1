//! Stacks replayed from recorded memory, one recording a version, without an interpreter.
//!
//! `PITVIPER_RECORD=1 cargo test -p pitviper --test python_interpreters snapshots` makes the
//! recordings anew from the interpreters that are installed.

use std::fs::{self, File};
use std::io::BufWriter;

use pitviper::python::{
    Interpreter, Layout, ProcessMemory, Recorded, Recording, ThreadSlot, Version, analyse,
    thread_states,
};
use serde::{Deserialize, Serialize};

use super::installed::{Installed, supported};
use super::program::{Program, data};
use super::stacks::{Stacks, stacks};

pub(crate) const MINORS: std::ops::RangeInclusive<u8> = 8..=13;

/// Threads of `blocked.py` whose frames are all its own.
const THREADS: [&str; 11] = [
    "generators",
    "coroutines",
    "manager",
    "lambdas",
    "sort_key",
    "comprehension",
    "class_body",
    "methods",
    "fête",
    "函数",
    "f",
];

/// What is known of a recording.
#[derive(Serialize, Deserialize)]
struct Facts {
    version: String,
    runtime: u64,
    /// What the interpreter said of its stacks.
    stacks: Stacks,
}

#[test]
fn recorded_stacks_equal_the_interpreters_own() {
    if std::env::var_os("PITVIPER_RECORD").is_some() {
        record();
    }
    for minor in MINORS {
        let (memory, interpreter, own) = replay(minor);
        assert!(own.len() > THREADS.len());
        assert_eq!(stacks(&memory, &interpreter), own, "3.{minor}");
    }
}

/// The recording of 3.`minor`: its memory, its interpreter and what that said of its stacks.
pub(crate) fn replay(minor: u8) -> (Recorded, Interpreter, Stacks) {
    let facts = fs::read(data(&format!("3.{minor}.json"))).unwrap();
    let facts: Facts = serde_json::from_slice(&facts).unwrap();
    let file = File::open(data(&format!("3.{minor}.memory"))).unwrap();
    let memory = Recorded::read_from(file).unwrap();
    let version = Version::from_text(format!("{} ", facts.version).as_bytes()).unwrap();
    assert_eq!(version.minor, minor);
    let interpreter = Interpreter {
        version,
        executable: "python".into(),
        image: "python".into(),
        layout: Layout::read(version, &memory, facts.runtime).unwrap(),
        runtime: facts.runtime,
        code_type: None,
        thread_slot: ThreadSlot { array: None, block: None, offset: 0 },
        thread_key: None,
        resource_warning: None,
        python_warning: None,
        resource_warning_type: None,
        code_dealloc: None,
    };
    (memory, interpreter, facts.stacks)
}

fn record() {
    // The script is named without its folder, so that no path of this machine is recorded.
    let start = format!(
        "exec(compile(open({:?}, encoding='utf-8').read(), 'blocked.py', 'exec'))",
        data("blocked.py")
    );
    for Installed { path, version } in supported() {
        let mut program = Program::start(&path, ["-c", &start].iter().chain(&THREADS));
        let own: Stacks = serde_json::from_str(&program.line()).unwrap();
        let interpreter = analyse(program.pid()).unwrap();
        let memory = Recording::new(ProcessMemory::new(program.pid()));
        Layout::read(version, &memory, interpreter.runtime).unwrap();
        assert_eq!(thread_states(&memory, &interpreter).unwrap().len(), own.len());
        stacks(&memory, &interpreter);

        let name = |ending| data(&format!("3.{}.{ending}", version.minor));
        memory.write_to(BufWriter::new(File::create(name("memory")).unwrap())).unwrap();
        let facts =
            Facts { version: version.to_string(), runtime: interpreter.runtime, stacks: own };
        fs::write(name("json"), serde_json::to_string_pretty(&facts).unwrap() + "\n").unwrap();
    }
}
