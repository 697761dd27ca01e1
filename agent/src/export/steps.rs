//! A stack as every format of stacks shows it: root first, with a word for what is not there.

use std::borrow::Cow;

use crate::python::{Frame, Stack};

use super::visible;

/// Characters of a function's name that are shown.
const FUNCTION: usize = 120;

/// Characters of a file's path that are shown.
const FILE: usize = 512;

/// One step of a stack, from the root inwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step<'a> {
    /// Stands for the whole stack where there is none.
    NoStack,
    /// Stands at the root for the frames that were too deep.
    LeftOut,
    /// A frame of Python, or above those one of a library.
    Frame(&'a Frame),
}

/// The steps of a stack, root first; never none.
pub(super) fn root_first(stack: Option<&Stack>) -> Vec<Step<'_>> {
    let Some(stack) = stack.filter(|stack| !stack.frames.is_empty()) else {
        return vec![Step::NoStack];
    };
    let cut = stack.truncated.then_some(Step::LeftOut);
    let frames = stack.frames.iter().rev().chain(stack.native.iter().rev());
    cut.into_iter().chain(frames.map(Step::Frame)).collect()
}

impl<'a> Step<'a> {
    /// What stands for frames that are not there.
    pub(super) fn stand_in(self) -> Option<&'static str> {
        match self {
            Self::NoStack => Some("(no Python stack)"),
            Self::LeftOut => Some("(deeper frames left out)"),
            Self::Frame(_) => None,
        }
    }

    /// The frame, where there is one.
    pub(super) fn frame(self) -> Option<&'a Frame> {
        match self {
            Self::Frame(frame) => Some(frame),
            Self::NoStack | Self::LeftOut => None,
        }
    }

    /// The name that the version knows best, harmless and bounded.
    pub(super) fn name(self) -> Cow<'static, str> {
        match (self.stand_in(), self.frame()) {
            (Some(words), _) => Cow::Borrowed(words),
            (None, frame) => {
                let name = frame.map(|f| f.qualname.as_ref().unwrap_or(&f.function));
                Cow::Owned(shown_function(name.map_or("", |name| name)))
            }
        }
    }
}

/// A function's name, harmless and bounded; `?` where it is empty.
pub(super) fn shown_function(name: &str) -> String {
    if name.is_empty() { "?".to_owned() } else { visible(name, FUNCTION) }
}

/// A file's path, harmless and bounded.
pub(super) fn shown_file(path: &str) -> String {
    visible(path, FILE)
}
