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

/// How many descriptors a new loop of asyncio's opens where it opens its selector: only that.
const OF_ASYNCIO: u64 = 1;

/// The same of uvloop's, whose loop begins in C, all in one place: a selector, an event counter, a
/// pipe, and up to two rings of io_uring, by the versions of libuv and of the kernel. At most 6, so
/// that loops are rather counted too few.
const OF_UVLOOP: u64 = 6;

/// Where a new loop begins: how many descriptors each opens there, at most.
pub(super) fn begins(stack: &[Frame]) -> Option<u64> {
    let first = stack.first()?;
    if first.file.ends_with("/uvloop/__init__.py") && &*first.function == "new_event_loop" {
        return Some(OF_UVLOOP);
    }
    let selector = first.file.ends_with("/selectors.py")
        && stack.iter().any(|frame| frame.file.ends_with("/asyncio/selector_events.py"));
    selector.then_some(OF_ASYNCIO)
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
        assert!(runs(&handler) && !waits(&handler) && begins(&handler).is_none());
        let idle = of(&["selectors.py", "asyncio/base_events.py", "asyncio/runners.py"]);
        assert!(runs(&idle) && waits(&idle));
        let new = of(&["selectors.py", "asyncio/selector_events.py", "asyncio/events.py"]);
        assert_eq!(begins(&new), Some(OF_ASYNCIO));
        let mut uvloop = of(&["/v/site-packages/uvloop/__init__.py", "asyncio/runners.py"]);
        assert!(runs(&uvloop) && begins(&uvloop).is_none());
        uvloop[0].function = "new_event_loop".into();
        assert_eq!(begins(&uvloop), Some(OF_UVLOOP));
        let worker = of(&["/srv/app.py", "concurrent/futures/thread.py", "threading.py"]);
        assert!(!runs(&worker) && begins(&worker).is_none());
    }
}
