//! What a stack tells of asyncio's event loop, which uvloop's stands in for.

use crate::python::Frame;

/// Files of the standard library that are on the stack of whatever a loop runs. uvloop runs its
/// callbacks from C, below the same `asyncio.run` or beneath its own package.
const LOOP_FILES: [&str; 4] =
    ["/asyncio/base_events.py", "/asyncio/runners.py", "/asyncio/events.py", "/uvloop/__init__.py"];

/// Whether an event loop runs this. A stack in one of its executor's threads has none of its frames.
pub(super) fn runs(stack: &[Frame]) -> bool {
    stack.iter().any(|frame| LOOP_FILES.iter().any(|file| frame.file.ends_with(file)))
}

/// Whether this is the loop itself, which waits for what comes next.
pub(super) fn waits(stack: &[Frame]) -> bool {
    let [selector, turn, ..] = stack else { return false };
    selector.file.ends_with("/selectors.py") && turn.file.ends_with("/asyncio/base_events.py")
}

/// Whether this opens the selector of a new loop.
pub(super) fn begins(stack: &[Frame]) -> bool {
    stack.first().is_some_and(|frame| frame.file.ends_with("/selectors.py"))
        && stack.iter().any(|frame| frame.file.ends_with("/asyncio/selector_events.py"))
}

/// Whether a module is being imported.
pub(super) fn imports(stack: &[Frame]) -> bool {
    stack.iter().any(|frame| frame.file.starts_with("<frozen importlib"))
}

/// Whether this is part of a run of tests, where a loop for each test keeps them apart.
pub(super) fn tests(stack: &[Frame]) -> bool {
    let runners = ["/_pytest/", "/unittest/"];
    stack.iter().any(|frame| runners.iter().any(|part| frame.file.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::super::script::frame;
    use super::*;

    fn stack(files: &[&str]) -> Vec<Frame> {
        files.iter().map(|file| frame(file, 1)).collect()
    }

    /// Exercise a handler, the loop's own wait, its beginning, and a thread of its executor.
    #[test]
    fn stacks_tell_the_loop() {
        let lib = "/usr/lib/python3.12";
        let of = |names: &[&str]| {
            let files: Vec<String> = names
                .iter()
                .map(|n| if n.starts_with('/') { (*n).to_owned() } else { format!("{lib}/{n}") })
                .collect();
            stack(&files.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let handler = of(&["/srv/app.py", "asyncio/events.py", "asyncio/base_events.py"]);
        assert!(runs(&handler) && !waits(&handler) && !begins(&handler));
        let idle = of(&["selectors.py", "asyncio/base_events.py", "asyncio/runners.py"]);
        assert!(runs(&idle) && waits(&idle));
        let new = of(&["selectors.py", "asyncio/selector_events.py", "asyncio/events.py"]);
        assert!(begins(&new));
        let worker = of(&["/srv/app.py", "concurrent/futures/thread.py", "threading.py"]);
        assert!(!runs(&worker) && !begins(&worker));
    }
}
