//! A program whose threads come and go while it is analysed.

use pitviper::python::{AnalyseError, ProcessMemory, analyse, thread_states, walk};

use super::installed::supported;
use super::program::Program;

const SCRIPT: &str = "
import os, threading, subprocess
def churn():
    while True:
        threads = [threading.Thread(target=sum, args=(range(100),)) for _ in range(20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
threading.Thread(target=churn, daemon=True).start()
def spin(depth):
    if depth: return spin(depth - 1)
    return [hash(str(number)) for number in range(100)]
print(1, flush=True)
while True: spin(20)
";

#[test]
fn a_busy_program_gives_the_same_answer_each_time() {
    for python in supported() {
        let mut program = Program::start(&python.path, ["-c", SCRIPT]);
        assert_eq!(program.line(), "1\n");
        let first = analyse(program.pid()).unwrap();
        let memory = ProcessMemory::new(program.pid());
        let mut walked = 0;
        for _ in 0..50 {
            assert_eq!(analyse(program.pid()).as_ref(), Ok(&first), "{}", python.version);
            for state in thread_states(&memory, &first).unwrap_or_default() {
                let frames = walk(&memory, &first.layout, state.address, 100);
                walked += frames.map_or(0, |frames| frames.len());
            }
        }
        assert!(walked > 50, "{}: {walked} frames", python.version);

        program.kill();
        let pid = program.pid();
        let error = std::iter::repeat_with(|| analyse(pid)).find_map(Result::err);
        assert!(
            matches!(error, Some(AnalyseError::Gone { .. } | AnalyseError::Zombie { .. })),
            "{error:?}"
        );
    }
}
