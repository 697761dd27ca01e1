//! Native frames, and what is known of them of one Python stack.

use std::sync::{Arc, Mutex, PoisonError};

use crate::source::{Act, WaitClass};

/// Native parts of samples that are told apart for each Python stack.
const SAMPLED: usize = 256;

/// Native parts of calls that are kept for each Python stack: as many as the kernel side sends.
const CALLED: usize = 64;

/// A function of C, C++ or Rust on a stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NativeFrame {
    /// Its name, demangled; `None` where the file has no symbol there.
    pub function: Option<Arc<str>>,
    /// The file that it lies in, as the process names it.
    pub object: Arc<str>,
    /// Where the call goes on, as the file itself counts addresses (`addr2line -e`); of samples the
    /// function's first instruction, where it has a name.
    pub address: u64,
}

impl NativeFrame {
    /// The file's name without its directories.
    pub fn object_name(&self) -> &str {
        self.object.rsplit('/').next().unwrap_or(&self.object)
    }

    /// Whether it is in the same function, wherever in it that goes on; without names, at the same
    /// place.
    fn is_in(&self, other: &Self) -> bool {
        let same = match (&self.function, &other.function) {
            (Some(function), Some(other)) => function == other,
            _ => self.address == other.address,
        };
        same && self.object == other.object
    }

    /// The function's name, or its address in the file.
    pub fn name(&self) -> String {
        match &self.function {
            Some(function) => function.to_string(),
            None => format!("{:#x}", self.address),
        }
    }
}

/// The native frames above a Python frame, innermost first.
pub type NativeStack = Arc<[NativeFrame]>;

/// What a call makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Makes {
    /// Neither.
    Nothing,
    /// Descriptors.
    Descriptor,
    /// A process or a thread.
    Process,
}

/// What the thread did while it stood there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// It computed: a sample met it.
    Sample,
    /// A syscall.
    Call {
        /// Its number.
        number: u16,
        /// What it waits for.
        wait: WaitClass,
        /// What it makes.
        makes: Makes,
    },
}

impl Occasion {
    /// Whether this is how `act` comes about.
    fn does(self, act: Act) -> bool {
        let Self::Call { wait, makes, .. } = self else {
            return matches!(act, Act::OnCpu | Act::OffCpu | Act::Stall | Act::Queue);
        };
        match act {
            Act::Spawn | Act::Thread | Act::ThreadEnd | Act::Exec | Act::Child => {
                makes == Makes::Process
            }
            Act::Open => wait == WaitClass::Open,
            Act::Connect | Act::Connection => wait == WaitClass::Connect,
            Act::Read => wait == WaitClass::Read,
            Act::Write => wait == WaitClass::Write,
            Act::Sync => wait == WaitClass::Sync,
            Act::List => wait == WaitClass::List,
            Act::Stat => wait == WaitClass::Stat,
            Act::Map(_) | Act::Unmap(_) => wait == WaitClass::Map,
            Act::Wait(class) => wait == class,
            Act::Stall | Act::Queue => true,
            Act::OffCpu | Act::OnCpu | Act::Touch => false,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Parts {
    calls: Vec<(Occasion, NativeStack)>,
    samples: Vec<(NativeStack, u64)>,
}

/// The native parts of one Python stack. They come in later than the stack itself, and whoever has
/// the stack sees them.
#[derive(Debug, Clone, Default)]
pub struct Natives(Arc<Mutex<Parts>>);

impl PartialEq for Natives {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.copied() == other.copied()
    }
}

impl Eq for Natives {}

impl Natives {
    fn with<T>(&self, of: impl FnOnce(&mut Parts) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn copied(&self) -> Parts {
        self.with(|parts| parts.clone())
    }

    /// Adds what was met once. A stack that comes back there adds to its samples.
    pub(super) fn add(&self, occasion: Occasion, stack: NativeStack) {
        self.with(|parts| match occasion {
            Occasion::Sample => {
                let known = parts.samples.iter_mut().find(|(known, _)| *known == stack);
                if let Some((_, count)) = known {
                    *count += 1;
                } else if parts.samples.len() < SAMPLED {
                    parts.samples.push((stack, 1));
                }
            }
            Occasion::Call { .. } => {
                let known = parts.calls.iter().any(|(known, _)| *known == occasion);
                if !known && parts.calls.len() < CALLED {
                    parts.calls.push((occasion, stack));
                }
            }
        });
    }

    /// The native frames with which this syscall was made.
    pub fn of_call(&self, call: u16) -> Option<NativeStack> {
        let is_it = |occasion: Occasion| matches!(occasion, Occasion::Call { number, .. } if number == call);
        self.shared(is_it)
    }

    /// Those with which it makes descriptors, by the syscalls that `counts` says.
    pub fn of_descriptors(&self, counts: impl Fn(u16) -> bool) -> Option<NativeStack> {
        self.shared(|occasion| match occasion {
            Occasion::Call { makes: Makes::Descriptor, number, .. } => counts(number),
            _ => false,
        })
    }

    /// Those by which an act comes about.
    pub fn of_act(&self, act: Act) -> Option<NativeStack> {
        let sampled = || {
            let samples = self.copied().samples.into_iter();
            samples.max_by_key(|(_, count)| *count).map(|(stack, _)| stack)
        };
        match act {
            Act::OnCpu | Act::OffCpu => sampled(),
            Act::Stall | Act::Queue => sampled().or_else(|| self.shared(|call| call.does(act))),
            _ => self.shared(|call| call.does(act)),
        }
        .filter(|stack| !stack.is_empty())
    }

    /// The native parts of samples, and how many samples met each.
    pub fn samples(&self) -> Vec<(NativeStack, u64)> {
        self.with(|parts| parts.samples.clone())
    }

    /// The functions that the parts of the calls that fit have in common, where the first goes on in
    /// them. A line of Python may come to the same by several (a watcher in Rust that makes a queue,
    /// a selector and a counter): the functions in which these differ are not those of all of it.
    fn shared(&self, fits: impl Fn(Occasion) -> bool) -> Option<NativeStack> {
        self.with(|parts| {
            let fitting =
                |(occasion, stack): &&(Occasion, NativeStack)| fits(*occasion) && !stack.is_empty();
            let mut stacks = parts.calls.iter().filter(fitting).map(|(_, stack)| stack);
            let first = stacks.next()?;
            let least = stacks.fold(first.len(), |most, other| {
                let pairs = first.iter().rev().zip(other.iter().rev());
                pairs.take(most).take_while(|(one, other)| one.is_in(other)).count()
            });
            if least == first.len() {
                return Some(Arc::clone(first));
            }
            Some(first[first.len() - least..].into())
                .filter(|stack: &NativeStack| !stack.is_empty())
        })
    }
}

/// Where the stack goes from one file into another: of each run of frames of one file the outermost,
/// innermost file first. That is what a library was called for, and not how it goes about it.
pub fn entries(stack: &[NativeFrame]) -> impl Iterator<Item = &NativeFrame> {
    let outermost = |&(index, frame): &(usize, &NativeFrame)| {
        stack.get(index + 1).is_none_or(|outer| outer.object != frame.object)
    };
    stack.iter().enumerate().filter(outermost).map(|(_, frame)| frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(object: &str, function: &str) -> NativeFrame {
        NativeFrame { function: Some(function.into()), object: object.into(), address: 16 }
    }

    fn call(number: u16, wait: WaitClass, makes: Makes) -> Occasion {
        Occasion::Call { number, wait, makes }
    }

    /// Exercise the choice among the parts of one stack that opens, reads and computes.
    #[test]
    fn each_act_has_its_own_part() {
        let natives = Natives::default();
        let of = |name: &str| -> NativeStack { Arc::from([frame("/lib/a.so", name)]) };
        natives.add(call(257, WaitClass::Open, Makes::Descriptor), of("open"));
        natives.add(call(0, WaitClass::Read, Makes::Nothing), of("read"));
        natives.add(call(0, WaitClass::Read, Makes::Nothing), of("later"));
        for name in ["hot", "cold", "hot"] {
            natives.add(Occasion::Sample, of(name));
        }
        assert_eq!(natives.of_call(0), Some(of("read")));
        assert_eq!(natives.of_call(1), None);
        assert_eq!(natives.of_descriptors(|_| true), Some(of("open")));
        assert_eq!(natives.of_descriptors(|call| call == 1), None);
        assert_eq!(natives.of_act(Act::Wait(WaitClass::Read)), Some(of("read")));
        assert_eq!(natives.of_act(Act::Wait(WaitClass::Lock)), None);
        assert_eq!(natives.of_act(Act::Stall), Some(of("hot")));
        assert_eq!(natives.samples(), [(of("hot"), 2), (of("cold"), 1)]);
    }

    /// Exercise an extension that makes three descriptors for each object, of two kinds.
    #[test]
    fn calls_that_differ_share_what_is_outside() {
        let natives = Natives::default();
        let stack = |names: &[&str]| -> NativeStack {
            names.iter().map(|name| frame("/lib/watch.so", name)).collect()
        };
        // Each call is made at another place of it.
        let elsewhere = |at, names: &[&str]| -> NativeStack {
            stack(names).iter().map(|frame| NativeFrame { address: at, ..frame.clone() }).collect()
        };
        let add = |number, names: &[&str]| {
            let at = u64::from(number);
            natives.add(call(number, WaitClass::Other, Makes::Descriptor), elsewhere(at, names));
        };
        add(294, &["inotify_init1", "init", "watch"]);
        assert_eq!(
            natives.of_descriptors(|_| true),
            Some(elsewhere(294, &["inotify_init1", "init", "watch"]))
        );
        add(291, &["epoll_create1", "select", "watch"]);
        add(290, &["watch"]);
        add(283, &[]);
        assert_eq!(natives.of_descriptors(|_| true), Some(elsewhere(294, &["watch"])));
        let selector = Some(elsewhere(291, &["epoll_create1", "select", "watch"]));
        assert_eq!(natives.of_descriptors(|call| call == 291), selector);
        add(2, &["open", "elsewhere"]);
        assert_eq!(natives.of_descriptors(|_| true), None);
    }

    /// Exercise the bound: what does not fit is left out, and nothing grows.
    #[test]
    fn parts_are_bounded() {
        let natives = Natives::default();
        for n in 0..1_000u16 {
            natives.add(Occasion::Sample, Arc::from([frame("/lib/a.so", &n.to_string())]));
            natives.add(call(n, WaitClass::Other, Makes::Nothing), Arc::from([]));
        }
        assert_eq!(natives.samples().len(), SAMPLED);
        assert_eq!(natives.copied().calls.len(), CALLED);
    }

    #[test]
    fn entries_are_where_files_meet() {
        let stack = [
            frame("/lib/libc.so.6", "read"),
            frame("/lib/libcrypto.so.3", "sock_read"),
            frame("/lib/libcrypto.so.3", "BIO_read"),
            frame("/lib/libssl.so.3", "ssl3_read_n"),
            frame("/lib/libssl.so.3", "SSL_read_ex"),
        ];
        let names: Vec<_> = entries(&stack).map(NativeFrame::name).collect();
        assert_eq!(names, ["read", "BIO_read", "SSL_read_ex"]);
    }
}
