//! What a stack tells of an event loop: asyncio's, which uvloop's stands in for, trio's or gevent's.
//!
//! anyio has no loop of its own: it runs on asyncio's or on trio's.

use crate::event::Object;
use crate::ledger::{Conduct, Ledger};
use crate::python::{Frame, Stack};

/// Files of the standard library that are on the stack of whatever a loop runs. uvloop runs its
/// callbacks from C, below the same `asyncio.run` or beneath its own package.
const LOOP_FILES: [&str; 4] =
    ["/asyncio/base_events.py", "/asyncio/runners.py", "/asyncio/events.py", "/uvloop/__init__.py"];

/// The file of trio's loop. Each task's coroutine is driven by its `unrolled_run`.
const TRIO: &str = "/trio/_core/_run.py";

/// The folder of what trio itself does in its loop.
const TRIO_CORE: &str = "/trio/_core/";

/// Whose loop it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framework {
    /// asyncio, on its own loop or on uvloop.
    Asyncio,
    /// trio.
    Trio,
    /// gevent.
    Gevent,
}

impl Framework {
    /// The published name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Framework::Asyncio => "asyncio",
            Framework::Trio => "trio",
            Framework::Gevent => "gevent",
        }
    }
}

fn drives_trio(frame: &Frame) -> bool {
    frame.file.ends_with(TRIO) && &*frame.function == "unrolled_run"
}

/// The wait of gevent's hub, and all that it calls by itself.
fn is_hub(frame: &Frame) -> bool {
    frame.file.ends_with("/gevent/hub.py") && &*frame.function == "run"
}

/// Whose loop runs this, by its frames. A stack in a thread of its executor has none of them, and
/// neither has a greenlet's: see [`of_stall`].
pub(super) fn framework(stack: &[Frame]) -> Option<Framework> {
    // The innermost is the one that runs it: trio may be a guest of asyncio.
    stack.iter().find_map(|frame| {
        if drives_trio(frame) {
            Some(Framework::Trio)
        } else if LOOP_FILES.iter().any(|file| frame.file.ends_with(file)) {
            Some(Framework::Asyncio)
        } else {
            None
        }
    })
}

/// Whether a loop runs this, by its frames.
pub(super) fn runs(stack: &[Frame]) -> bool {
    framework(stack).is_some()
}

/// Whose loop stood still. Frames tell, or the task: the kernel side found its coroutine on the
/// stack (uvloop's `run_until_complete` leaves no frame there). A greenlet's stack ends with its own
/// function, so that gevent's loop, or asyncio's (SQLAlchemy runs blocking code beneath it in
/// greenlets), is known by the stack that came back to the selector.
pub(super) fn of_stall(ledger: &Ledger, stall: &Conduct) -> Option<Framework> {
    let frames = stall.stack.as_ref().and_then(|stack| framework(&stack.frames));
    frames.or_else(|| stall.known_objects().find_map(|(id, _)| of_object(ledger, stall, id)))
}

fn of_object(ledger: &Ledger, stall: &Conduct, id: u64) -> Option<Framework> {
    match ledger.object(id) {
        Some(Object::Task(_)) => Some(Framework::Asyncio),
        Some(_) => None,
        None => {
            let selector = ledger.stack(stall.process, id)?;
            if selector.frames.first().is_some_and(is_hub) {
                return Some(Framework::Gevent);
            }
            // What a thread does between two loops ends where they end, too.
            let is_greenlet = ends_elsewhere(stall.stack.as_ref()?, selector);
            framework(&selector.frames).filter(|_| is_greenlet)
        }
    }
}

/// Whether the outermost function of one stack is another than that of the other: of two stacks of
/// one thread, that is what tells a greenlet's.
fn ends_elsewhere(one: &Stack, other: &Stack) -> bool {
    let end = |stack: &Stack| Some(stack.frames.last()?.code.clone()).filter(|_| !stack.truncated);
    matches!((end(one), end(other)), (Some(one), Some(other)) if one != other)
}

/// Whether this is the loop itself, which waits for what comes next, or sees to its own affairs.
pub(super) fn waits(stack: &[Frame]) -> bool {
    let Some(first) = stack.first() else { return false };
    if is_hub(first) || (first.file.contains(TRIO_CORE) && stack.iter().any(is_trios_run)) {
        return true;
    }
    let [selector, turn, ..] = stack else { return false };
    selector.file.ends_with("/selectors.py") && turn.file.ends_with("/asyncio/base_events.py")
}

/// `trio.run`, which waits for input and output between two turns.
fn is_trios_run(frame: &Frame) -> bool {
    frame.file.ends_with(TRIO) && &*frame.function == "run"
}

/// The function with which the running trio task or greenlet began, where the stack shows it. A
/// task's is what trio's loop drives, and what trio names it after; a greenlet's is its outermost.
/// What asyncio's loop held up without being on the stack is a greenlet.
pub(super) fn began_with(framework: Framework, stack: &Stack) -> Option<&Frame> {
    let frames = &stack.frames;
    match framework {
        Framework::Trio => {
            let driver = frames.iter().position(drives_trio)?;
            let first = frames.get(driver.checked_sub(1)?)?;
            // What the loop calls between two tasks is no task.
            (!first.file.contains(TRIO_CORE)).then_some(first)
        }
        Framework::Asyncio if runs(frames) => None,
        Framework::Asyncio | Framework::Gevent => {
            if stack.truncated {
                return None;
            }
            // A thread that gevent has put in the place of `threading`'s.
            let of_thread = |frame: &&Frame| frame.file.ends_with("/threading.py");
            let first = frames.iter().rev().find(|frame| !of_thread(frame))?;
            let main = &*first.function == "<module>" || first.file.starts_with("<frozen ");
            (!main && !is_hub(first)).then_some(first)
        }
    }
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

    fn call(file: &str, function: &str) -> Frame {
        Frame::new(file, function, None, 1)
    }

    fn whole(frames: Vec<Frame>) -> Stack {
        Stack { frames, ..Stack::default() }
    }

    /// Exercise a task, what trio does between two, its wait, and trio as a guest of asyncio.
    #[test]
    fn stacks_tell_trio() {
        let lib = "/v/lib/python3.12/site-packages/trio/_core";
        let run = || {
            [
                call(&format!("{lib}/_run.py"), "unrolled_run"),
                call(&format!("{lib}/_run.py"), "run"),
            ]
        };
        let began = |inner: &[(&str, &str)]| {
            let frames = inner.iter().map(|(file, function)| call(file, function)).chain(run());
            let stack = whole(frames.collect());
            assert_eq!(framework(&stack.frames), Some(Framework::Trio));
            let first = began_with(Framework::Trio, &stack).map(|frame| frame.function.to_string());
            (first, waits(&stack.frames))
        };
        let task = [("/srv/db.py", "query"), ("/srv/app.py", "handler")];
        assert_eq!(began(&task), (Some("handler".to_owned()), false));
        let instrument =
            [("/srv/watch.py", "before_task"), (&*format!("{lib}/_instrumentation.py"), "call")];
        assert_eq!(began(&instrument), (None, false));
        assert_eq!(began(&[]), (None, true));
        let poll = vec![call(&format!("{lib}/_io_epoll.py"), "get_events"), run()[1].clone()];
        assert!(waits(&poll) && !runs(&poll));
        let guest =
            [call("/srv/app.py", "f"), run()[0].clone(), call("/l/asyncio/events.py", "_run")];
        assert_eq!(framework(&guest), Some(Framework::Trio));
        assert_eq!(framework(&guest[2..]), Some(Framework::Asyncio));
    }

    /// Exercise a greenlet, one in a thread's place, a callback in the hub, the main greenlet and a
    /// stack whose outer end is not known.
    #[test]
    fn greenlets_begin_with_their_outermost_function() {
        let began = |frames: &[(&str, &str)], truncated| {
            let frames = frames.iter().map(|(file, function)| call(file, function)).collect();
            let stack = Stack { truncated, ..whole(frames) };
            began_with(Framework::Gevent, &stack).map(|frame| frame.function.to_string())
        };
        let threading = "/usr/lib/python3.12/threading.py";
        let handler = [("/srv/db.py", "query"), ("/srv/app.py", "handler")];
        assert_eq!(began(&handler, false).as_deref(), Some("handler"));
        assert_eq!(began(&handler, true), None);
        let thread = [("/srv/app.py", "worker"), (threading, "run"), (threading, "_bootstrap")];
        assert_eq!(began(&thread, false).as_deref(), Some("worker"));
        let hub = ("/v/site-packages/gevent/hub.py", "run");
        assert_eq!(began(&[("/srv/app.py", "timer"), hub], false), None);
        assert_eq!(began(&[("/srv/app.py", "main"), ("/srv/app.py", "<module>")], false), None);
        assert!(waits(&[call(hub.0, hub.1)]));
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
        uvloop[0] = Frame::new(&*uvloop[0].file, "new_event_loop", None, 1);
        assert_eq!(begins(&uvloop), Some(OF_UVLOOP));
        let worker = of(&["/srv/app.py", "concurrent/futures/thread.py", "threading.py"]);
        assert!(!runs(&worker) && begins(&worker).is_none());
    }
}
