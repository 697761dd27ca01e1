//! Resolved stacks: what every later station sees.

use std::ops::Deref;
use std::sync::Arc;

use crate::native::{NativeStack, Natives};

/// What a code object is called; all its frames share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodeNames {
    /// `co_filename`. Lone surrogates are written as `\udcXX`; control characters are kept, each
    /// exporter makes them harmless in its own way.
    pub file: Arc<str>,
    /// `co_name`, what `traceback` calls the function.
    pub function: Arc<str>,
    /// `co_qualname`, where the version has it (3.11+).
    pub qualname: Option<Arc<str>>,
}

/// One frame, resolved: its code object's names, and where it is. Thousands of stacks are kept, most
/// of which differ in a line or two.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frame {
    /// Of the code object; read as if they were the frame's own.
    pub code: Arc<CodeNames>,
    /// The line that is running; 0 when the instruction has none.
    pub line: u32,
}

impl Frame {
    /// A frame of a code object that is known by these names.
    pub fn new(
        file: impl Into<Arc<str>>,
        function: impl Into<Arc<str>>,
        qualname: Option<Arc<str>>,
        line: u32,
    ) -> Self {
        let (file, function) = (file.into(), function.into());
        Self { code: Arc::new(CodeNames { file, function, qualname }), line }
    }
}

impl Deref for Frame {
    type Target = CodeNames;

    fn deref(&self) -> &CodeNames {
        &self.code
    }
}

/// One stack, resolved; innermost frame first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stack {
    /// Frames, innermost first.
    pub frames: Vec<Frame>,
    /// Deeper frames were left out.
    pub truncated: bool,
    /// Frames whose code object could not be read; they stand as `?`.
    pub unresolved: u32,
    /// What is known of the native frames above it, by what it was met with.
    pub natives: Natives,
    /// Of these, those that this stack is shown with, innermost first: the file is the library, and
    /// there is no line.
    pub native: Vec<Frame>,
}

impl Stack {
    /// The same stack with these native frames above it.
    pub fn with_native(self: &Arc<Self>, native: Option<NativeStack>) -> Arc<Self> {
        match native {
            Some(native) if !native.is_empty() => {
                let shown = native
                    .iter()
                    .map(|frame| Frame::new(Arc::clone(&frame.object), frame.name(), None, 0));
                Arc::new(Self { native: shown.collect(), ..Self::clone(self) })
            }
            _ => Arc::clone(self),
        }
    }
}
