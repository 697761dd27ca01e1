//! The modules that a process has imported, and the search among them for one that may come long
//! after the attach.

use super::dict::{self, Entries, KeysLayout};
use super::interpreter::Interpreter;
use super::memory::{Fields, ReadError, ReadMemory};
use super::walk::interpreters;

/// Bytes of a `PyInterpreterState` that are searched for the modules, a page at a time: they lie
/// within the first 16 KiB in each version.
const SEARCHED: u64 = 32 << 10;
const PAGE: u64 = 4096;

/// Looks for the modules in vain, after which they are taken for not to be found.
const ATTEMPTS: u32 = 5;

/// The search for one module in one process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleSearch {
    /// The dicts of modules, one an interpreter, with the entries that they had when last looked
    /// through.
    modules: Vec<(u64, Option<Entries>)>,
    attempts: u32,
}

impl ModuleSearch {
    /// Asks `find` of the modules of each interpreter, where they have changed since the last look.
    /// That makes it cheap enough to be asked each second.
    ///
    /// # Errors
    ///
    /// Those of reading memory, which changes under the look: ask again.
    pub(super) fn look<T>(
        &mut self,
        memory: &impl ReadMemory,
        interpreter: &Interpreter,
        find: impl Fn(u64) -> Result<Option<T>, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        if self.modules.is_empty() {
            if self.attempts == ATTEMPTS {
                return Ok(None);
            }
            self.attempts += 1;
            for state in interpreters(memory, &interpreter.layout, interpreter.runtime)? {
                let found = modules(memory, interpreter, state);
                self.modules.extend(found.map(|dict| (dict, None)));
            }
        }
        let keys = KeysLayout::of(interpreter.version);
        for (modules, known) in &mut self.modules {
            let entries = dict::entries(memory, &interpreter.layout, keys, *modules)?;
            // Only a new module makes a difference.
            if entries == *known {
                continue;
            }
            if let Some(found) = find(*modules)? {
                return Ok(Some(found));
            }
            *known = entries;
        }
        Ok(None)
    }
}

/// The dict of a module's names: `md_dict` of `PyModuleObject`, its first field.
pub(super) fn module_dict(
    memory: &impl ReadMemory,
    interpreter: &Interpreter,
    module: u64,
) -> Result<u64, ReadError> {
    memory.read_u64(module.wrapping_add(interpreter.layout.object_size.into()))
}

/// The value of a key of a dict.
pub(super) fn member(
    memory: &impl ReadMemory,
    interpreter: &Interpreter,
    dict: u64,
    name: &str,
) -> Result<Option<u64>, ReadError> {
    let keys = KeysLayout::of(interpreter.version);
    match dict::entries(memory, &interpreter.layout, keys, dict)? {
        Some(entries) => dict::find(memory, &interpreter.layout, entries, name),
        None => Ok(None),
    }
}

/// The dict of modules of the interpreter state at `state`: the only dict that it points to with
/// modules of these names.
fn modules(memory: &impl ReadMemory, interpreter: &Interpreter, state: u64) -> Option<u64> {
    let is_module = |dict, name| -> Result<bool, ReadError> {
        let Some(module) = member(memory, interpreter, dict, name)? else { return Ok(false) };
        let names = module_dict(memory, interpreter, module)?;
        dict::is_dict(memory, &interpreter.layout, names)
    };
    let is_modules = |address: u64| {
        address.is_multiple_of(8)
            && (1 << 12..1 << 47).contains(&address)
            && dict::is_dict(memory, &interpreter.layout, address) == Ok(true)
            && is_module(address, "sys") == Ok(true)
            && is_module(address, "builtins") == Ok(true)
    };
    // Blocks end where pages do, so that what is not mapped ends the search and spoils no block.
    let mut start = state;
    while start < state.saturating_add(SEARCHED) {
        let end = (start & !(PAGE - 1)).saturating_add(PAGE);
        let block = memory.read_bytes(start, (end - start) as usize).ok()?;
        let words = block.chunks_exact(8).map(|word| word.u64_at(0));
        if let Some(found) = words.into_iter().find(|&address| is_modules(address)) {
            return Some(found);
        }
        start = end;
    }
    None
}
